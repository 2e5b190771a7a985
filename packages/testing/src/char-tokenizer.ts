import { createTokenizer, type TextTokenizer } from '@reallm/tensor-io/tokenizer'

/** Contents of `tokenizer.json`: printable characters as tokens, `<end>` (id 95) and `<turn>` (96) on top. */
export const charTokenizerFiles = {
  tokenizer: {
    version: '1.0',
    added_tokens: ['<end>', '<turn>'].map((content, i) => ({
      ...{
        id: 95 + i,
        content,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries([
        ...Array.from({ length: 94 }, (_, i) => [String.fromCharCode(33 + i), i]),
        ['Ġ', 94],
      ]),
      merges: [],
    },
  },
  config: {
    eos_token: '<end>',
    chat_template:
      "{% for m in messages %}{{ '<turn>' + m['role'] + ':' + m['content'] + '<end>' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<turn>assistant:' }}{% endif %}",
  },
}

export const charTokenizer: TextTokenizer = createTokenizer(charTokenizerFiles)
