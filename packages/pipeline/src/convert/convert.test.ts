import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import {
  byteLevelTokenizer,
  fixture,
  goldenModels,
  goldenModelsInGguf,
  prependsSpace,
  replacesSpaces,
  sentencePieceTokenizer,
  writeRandomModel,
} from '@reallm/testing'
import { type HuggingFaceConfig, openWeights, type TokenizerFiles } from '@reallm/transformer'
import { afterAll, describe, expect, it } from 'vitest'
import { smallGemma, smallLlama } from '../../test/small-models.ts'
import { awkwardTexts } from '../output/awkward-texts.ts'
import { type ConvertOptions, convertModel } from './convert.ts'

const scratch = mkdtempSync(join(tmpdir(), 'convert-'))
afterAll(() => rmSync(scratch, { recursive: true }))
let made = 0
const fresh = (ending = '') => join(scratch, `${made++}${ending}`)

async function convert(from: string, to: string, options: Partial<ConvertOptions> = {}) {
  const model = await openWeights(from)
  try {
    return await convertModel(model, { to, dtype: 'f32', ...options })
  } finally {
    await model.close()
  }
}

/** What is there of an output, finished or not. */
const left = async (path: string) => (await readdir(scratch)).filter(name => name.startsWith(basename(path)))

async function small(settings: HuggingFaceConfig, tokenizer?: TokenizerFiles): Promise<string> {
  const folder = fresh()
  await writeRandomModel(folder, { ...smallLlama, ...settings }, tokenizer && { tokenizer })
  return folder
}

describe('a model that GGUF can hold is the same there', () => {
  it.each(goldenModelsInGguf)('%s', async name => {
    const path = fresh('.gguf')
    await convert(fixture(`models/${name}`), path)
    const [original, written] = [await openWeights(fixture(`models/${name}`)), await openWeights(path)]
    expect([...written.shapes]).toEqual([...original.shapes])
    for (const tensor of original.names) {
      const [wanted, got] = [(await original.read(tensor)).data, (await written.read(tensor)).data]
      expect(Math.max(...wanted.map((w, i) => Math.abs(w - got[i])))).toBeLessThan(1e-6)
    }
    await Promise.all([original.close(), written.close()])
  })

  it.each<[string, HuggingFaceConfig]>([
    ['biases of the MLP', { mlp_bias: true }],
    ['biases of attention', { attention_bias: true }],
    ['no head of its own, other widths', { tie_word_embeddings: false, head_dim: 12 }],
    ['an epsilon', { rms_norm_eps: 1.2345e-5 }],
    ['linear rope', { rope_scaling: { type: 'linear', factor: 2.5 } }],
    [
      'Llama 3’s rope',
      {
        rope_parameters: {
          rope_type: 'llama3',
          rope_theta: 5e5,
          factor: 8,
          original_max_position_embeddings: 64,
        },
      },
    ],
    [
      'yarn with a magnitude',
      {
        rope_scaling: {
          rope_type: 'yarn',
          factor: 4,
          original_max_position_embeddings: 64,
          attention_factor: 0.8,
        },
      },
    ],
    ['a window as long as the longest text', { model_type: 'mistral', sliding_window: 256 }],
    ['Gemma’s layer types', { ...smallGemma, layer_types: ['full_attention', 'sliding_attention'] }],
    ['Gemma’s period', { ...smallGemma, sliding_window_pattern: 2 }],
    ['Gemma’s local theta', { ...smallGemma, rope_local_base_freq: 100 }],
    ['Gemma’s linear rope', { ...smallGemma, rope_scaling: { rope_type: 'linear', factor: 8 } }],
    ['Gemma’s soft cap', { ...smallGemma, final_logit_softcapping: 3 }],
    ['Gemma without windows', { ...smallGemma, sliding_window: null }],
    ['Gemma of bfloat16', { ...smallGemma, torch_dtype: 'bfloat16' }],
    ['several ends of a text', { bos_token_id: 1, eos_token_id: [2, 3] }],
  ])('%s', async (_, settings) => {
    const folder = await small(settings)
    const path = fresh('.gguf')
    await convert(folder, path)
    // And back: what a GGUF says is a model directory again.
    const back = fresh()
    await convert(path, back)
    expect(await readdir(back)).toContain('config.json')
  })
})

describe('what GGUF cannot hold is refused by name before anything is written', () => {
  it.each<[string, HuggingFaceConfig, string]>([
    ['windows of Mistral', { model_type: 'mistral', sliding_window: 8 }, 'windows: [8,8]'],
    [
      'windows of Qwen',
      { model_type: 'qwen2', use_sliding_window: true, sliding_window: 4, max_window_layers: 1 },
      'windows: [null,4]',
    ],
    ['biases of Qwen’s MLP', { model_type: 'qwen2', mlp_bias: true }, 'blk.0.ffn_gate.bias'],
    ['biases of Qwen 3’s attention', { model_type: 'qwen3', attention_bias: true }, 'blk.0.attn_q.bias'],
    [
      'heads that do not fill Qwen 2',
      { model_type: 'qwen2', head_dim: 12 },
      'the heads must be 32 wide together, these are 48',
    ],
    ['another activation', { hidden_act: 'gelu' }, 'activation: "gelu", it would be "silu"'],
    ['another attention scale', { ...smallGemma, query_pre_attn_scalar: 64 }, 'attentionScale: 0.125'],
    ['a soft cap of scores', { ...smallGemma, attn_logit_softcapping: 5 }, 'attentionSoftcap: 5'],
    [
      'Llama 3’s rope in Qwen',
      {
        model_type: 'qwen3',
        rope_scaling: { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 64 },
      },
      'ropes: {"rope_type":"llama3"',
    ],
    [
      'yarn with other turns',
      { rope_scaling: { rope_type: 'yarn', factor: 4, beta_fast: 4 } },
      '"beta_fast":4',
    ],
    ['yarn in Gemma', { ...smallGemma, rope_scaling: { rope_type: 'yarn', factor: 4 } }, 'rope scaling yarn'],
    ['too many ends of a text', { eos_token_id: [1, 2, 3, 4] }, '"eos":[1,2,3,4]'],
  ])('%s', async (_, settings, message) => {
    const folder = await small(settings)
    const path = fresh('.gguf')
    await expect(convert(folder, path)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(message),
      hint: expect.stringContaining('safetensors'),
    })
    expect(await left(path)).toEqual([])
  })
})

const [gpt2, digits] = [
  { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  { type: 'Digits', individual_digits: true },
]

/** Trained by SentencePiece, with a map of characters. */
function unigramTokenizer(): TokenizerFiles {
  const golden = JSON.parse(gunzipSync(readFileSync(fixture('tokenizers.json.gz'))).toString())
  const { tokenizer } = golden.tokenizers['unigram-charsmap']
  const { chat_template } = sentencePieceTokenizer().config
  return { tokenizer, config: { eos_token: '</s>', pad_token: '<pad>', unk_token: '<unk>', chat_template } }
}

describe('tokenizers', () => {
  it.each<[string, TokenizerFiles]>([
    ['byte-level BPE', byteLevelTokenizer()],
    ['one that puts tokens around texts', byteLevelTokenizer({ begins: true, ends: true })],
    ['SmolLM’s', byteLevelTokenizer({ pre_tokenizer: { type: 'Sequence', pretokenizers: [digits, gpt2] } })],
    ['SentencePiece', sentencePieceTokenizer()],
    ['Gemma’s', sentencePieceTokenizer({ normalizer: replacesSpaces })],
    ['Unigram', unigramTokenizer()],
  ])('%s: GGUF and the directory made of it give the same ids', async (_, tokenizer) => {
    const vocab_size = 400
    const folder = await small({ vocab_size }, tokenizer)
    const [path, back] = [fresh('.gguf'), fresh()]
    await convert(folder, path)
    await convert(path, back)
    const models = await Promise.all([folder, path, back].map(spec => openWeights(spec)))
    const [original, ...others] = await Promise.all(models.map(model => model.tokenizer()))
    expect((models[1].files.metadata['tokenizer.ggml.tokens'] as string[]).length).toBe(vocab_size)
    for (const other of others) {
      for (const text of [...awkwardTexts, 'a<tool>b', 'x<s>y</s>', '<|begin|>']) {
        for (const special of [false, true]) {
          expect(other.encode(text, { special })).toEqual(original.encode(text, { special }))
        }
      }
      expect(other.chat([{ role: 'user', content: 'Hi' }])).toBe(
        original.chat([{ role: 'user', content: 'Hi' }]),
      )
    }
    await Promise.all(models.map(model => model.close()))
  })

  it.each<[string, TokenizerFiles, string]>([
    [
      'spaces that only some texts get',
      sentencePieceTokenizer({
        normalizer: { type: 'Sequence', normalizers: [] },
        pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
      }),
      'Metaspace',
    ],
    [
      'merges of another order',
      sentencePieceTokenizer({
        merges: [
          ['a', 'b'],
          ['b', 'c'],
          ['ab', 'c'],
        ],
      }),
      'does not merge "a" and "bc"',
    ],
    [
      'a normal form of Unicode before Unigram',
      {
        tokenizer: {
          ...sentencePieceTokenizer().tokenizer,
          normalizer: { type: 'NFKC' },
          model: {
            type: 'Unigram',
            unk_id: 0,
            vocab: [
              ['<unk>', 0],
              ['a', -1],
            ],
          },
        },
        config: {},
      },
      'llama.cpp has no form of',
    ],
  ])('%s are refused', async (_, tokenizer, message) => {
    await expect(convert(await small({ vocab_size: 320 }, tokenizer), fresh('.gguf'))).rejects.toThrow(
      message,
    )
  })

  it('an added token that takes the space beside it shows in the ids', async () => {
    const tokenizer = sentencePieceTokenizer({ normalizer: prependsSpace })
    const added = (tokenizer.tokenizer.added_tokens as object[]).map((token, i) =>
      i === 3 ? { ...token, lstrip: true } : token,
    )
    const folder = await small(
      { vocab_size: 320 },
      { ...tokenizer, tokenizer: { ...tokenizer.tokenizer, added_tokens: added } },
    )
    await expect(convert(folder, fresh('.gguf'))).rejects.toThrow(
      'GGUF cannot hold this tokenizer: "a <tool> b"',
    )
  })
})

describe('a model without tokenizer.json', () => {
  it('is converted with a warning, its tokenizer in another form is named', async () => {
    const folder = await small({})
    const warnings: (string | undefined)[] = []
    await convert(folder, fresh('.gguf'), { onProgress: ({ message }) => message && warnings.push(message) })
    expect(warnings).toEqual([`${folder}: it has no tokenizer; the GGUF will have none`])
    await writeFile(join(folder, 'tokenizer.model'), 'a SentencePiece model')
    await expect(convert(folder, fresh('.gguf'))).rejects.toThrow('its tokenizer is in tokenizer.model')
    await convert(folder, fresh())
  })
})

describe('numbers that a dtype cannot hold', () => {
  it.each([
    ['f16', 1e5, 'at row 0, column 5: too large for f16', 'use --dtype bf16 or f32'],
    ['f32', Number.NaN, 'holds NaN at row 0, column 5', 'damaged'],
  ] as const)('are named in %s', async (dtype, value, message, hint) => {
    const folder = fresh()
    await writeRandomModel(folder, smallLlama, {
      values: (name, shape) =>
        name === 'model.layers.0.mlp.down_proj.weight'
          ? new Float32Array(shape[0] * shape[1]).fill(value, 5, 6)
          : undefined,
    })
    for (const to of [fresh('.gguf'), fresh()]) {
      await expect(convert(folder, to, { dtype })).rejects.toMatchObject({
        code: 'numeric',
        message: expect.stringMatching(`model.layers.0.mlp.down_proj.weight .*${message}`),
        hint: expect.stringContaining(hint),
      })
      expect(await left(to)).toEqual([])
    }
  })
})

describe('a model directory', () => {
  it.each(goldenModels)('of %s has its configuration, whatever the dtype', async name => {
    for (const dtype of ['f32', 'bf16'] as const) {
      const folder = fresh()
      await convert(fixture(`models/${name}`), folder, { dtype })
      const json = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
      // Gemma's embeddings are scaled in the dtype that the configuration names.
      const wanted = { 'gemma3-text': 'bfloat16', gemma2: 'float32', gemma4_text: 'float32' }[name]
      expect(json.torch_dtype ?? json.dtype).toBe(wanted ?? { f32: 'float32', bf16: 'bfloat16' }[dtype])
    }
  })

  it('keeps damaged tokenizer files from being copied', async () => {
    const folder = await small({}, byteLevelTokenizer())
    await writeFile(join(folder, 'tokenizer_config.json'), '{')
    await expect(convert(folder, fresh())).rejects.toMatchObject({ code: 'bad-file' })
  })
})
