"""Ids that Python's tokenizers gives awkward texts, with small tokenizers in the forms that model families have.

pip install tokenizers sentencepiece && python tools/golden/tokenizers.py packages/testing/fixtures/tokenizers.json.gz
"""
import base64
import gzip
import io
import json
import sys
import tempfile
import unicodedata

# this file has the name of the library
sys.path.pop(0)
from sentencepiece import SentencePieceTrainer  # noqa: E402
from sentencepiece.sentencepiece_model_pb2 import ModelProto  # noqa: E402
from tokenizers import Tokenizer, models, trainers  # noqa: E402
from tokenizers.pre_tokenizers import ByteLevel  # noqa: E402

texts = ['', ' ', '  ', '   leading and trailing   ', *[f'a{" " * n}b' for n in (2, 3, 4, 7, 8, 16, 31, 32, 40)],
         '\n', '\n\n', '\n\n\n', '\n \n', '\r\n\r\n', '\t', '\t\t\t\t\t', ' \n \n ', 'a\n', '\na', 'a\n\n\n\nb', ' a', 'a ', '  a  b  ',
         'line\nline\r\nline\rline\n\n\tindented\t\ttwice', 'hello world', 'Hello, World!', 'hello, hello hello', 'How’s it going?',
         '"Fine" -- thanks… (really)', "I'm you're he'll they'd we've it's", "DON'T I'M YOU'RE WE'VE 'S 'T", "'tis 'twas rock 'n' roll", "l'été d'hiver",
         'CamelCase', 'snake_case kebab-case', 'SCREAMING ÉCOLE', 'HTTPServerError', 'iPhone eBay McDonald', 'aB AB Ab ab',
         '0', '12', '345', '6789', '1234567890', '12345678901234567890', '3.14159', '1,000,000', '1 2 3', 'a1b22c333d4444', '²³ ½ ٣ ४२ 一二三',
         '2024-01-31T12:00:00Z', '+49 (0) 30 1234', '0x1F 1e-5 100%', 'for (let i = 0; i < n; i++) {\n    x[i] += y["k"] ?? null; // 4 spaces\n}',
         'def f(x):\n\treturn x**2  # π·r²\n', '<div class="a">&amp;</div>', 'https://example.org/a?b=c#d', 'user@example.org', '#include <stdio.h>',
         '$E = mc^2$', '∑∫√∞ ≠ → ⟨ψ|φ⟩', 'a=b==c!=d<=e>=f', '...!!!???', '----------======__________##########', '[[{{(())}}]]', '\\n\\t\\\\', '`code` ~~struck~~ **bold**',
         'naïve café', 'cafe\u0301 nai\u0308ve', 'Ünïcödé Straße', 'ﬁ ﬂ Ⅳ ①', 'İstanbul ıI', 'Привет, мир.', 'Γειά σου', 'שלום עולם', 'مرحبا بالعالم', 'नमस्ते दुनिया', 'สวัสดีชาวโลก', 'ខ្មែរ',
         '你好，世界。', 'こんにちは世界 カタカナ', '안녕하세요 세계', '𠮷野家 𝔘𝔫𝔦', '中文English混排123', '😀', '👩‍👩‍👧‍👦 👍🏽', '🏳️‍🌈 🇩🇪 ☃️', 'a😀b 😀 c',
         'no\u00a0break\u2003em\u3000wide', 'zero\u200bwidth\ufeffbom\u00adsoft', '\ufeffstart', '\u0000\u0001\u007f', '\u0085\u2028\u2029x', 'e\u0301\u0302\u0303x',
         'Ġbyte Ċ', '<0x0A> [PAD1] <unk>', 'a' * 40, 'ab' * 20, 'supercalifragilisticexpialidocious', 'the the the The THE', '1st 2nd 3rd 4th',
         '<s>x</s> y', 'a<|tool|>b', 'a <|tool|> b', '<|tool|><|tool|>']
assert len(texts) >= 100

contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
rest = r' ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'


def cl100k(digits):
    return contraction + r'|[^\r\n\p{L}\p{N}]?\p{L}+|' + digits + '|' + rest


upper, lower = r'[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]', r'[\p{Ll}\p{Lm}\p{Lo}\p{M}]'


def o200k(suffix, digits):
    first, other = rf'[^\r\n\p{{L}}\p{{N}}]?{upper}*{lower}+{suffix}', rf'[^\r\n\p{{L}}\p{{N}}]?{upper}+{lower}*{suffix}'
    return '|'.join([first, other, digits, r' ?[^\s\p{L}\p{N}]+[\r\n/]*', r'\s*[\r\n]+', r'\s+(?!\S)', r'\s+'])


qwen35 = contraction + r'|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+'
deepseek = [r'\p{N}{1,3}', '[一-龥぀-ゟ゠-ヿ]+',
            r'[!"#$%&' + "'" + r'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^' + '\r\n' + r'\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+['
            + '\r\n' + r']*|\s*[' + '\r\n' + r']+|\s+(?!\S)|\s+']


def split(regex):
    return {'type': 'Split', 'pattern': {'Regex': regex}, 'behavior': 'Isolated', 'invert': False}


def bytes_after(*steps, use_regex=False):
    level = {'type': 'ByteLevel', 'add_prefix_space': False, 'trim_offsets': True, 'use_regex': use_regex}
    return {'type': 'Sequence', 'pretokenizers': [*steps, level]} if steps else level


nfc = {'type': 'NFC'}
byte_level = {
    # merges across all cuts: what cuts differently gives other ids
    'uncut': {'pre': bytes_after(use_regex=False)},
    'gpt-2': {'pre': bytes_after(use_regex=True)},
    'smollm': {'pre': bytes_after({'type': 'Digits', 'individual_digits': True}, use_regex=True)},
    'llama-bpe': {'pre': bytes_after(split(cl100k(r'\p{N}{1,3}'))), 'ignore_merges': True},
    'smaug-bpe': {'pre': bytes_after(split(cl100k(r'\p{N}{1,3}')))},
    'qwen2': {'pre': bytes_after(split(cl100k(r'\p{N}'))), 'normalizer': nfc},
    'qwen35': {'pre': bytes_after(split(qwen35)), 'normalizer': nfc},
    'tekken': {'pre': bytes_after(split(o200k('', r'\p{N}'))), 'ignore_merges': True},
    'gpt-4o': {'pre': bytes_after(split(o200k(contraction + '?', r'\p{N}{1,3}')))},
    'deepseek-v3': {'pre': bytes_after(*map(split, deepseek))},
}
added = {'single_word': False, 'lstrip': False, 'rstrip': False, 'normalized': False, 'special': True}
names = ['<unk>', '<s>', '</s>', '<|tool|>']
space = {'type': 'Replace', 'pattern': {'String': ' '}, 'content': '▁'}
decode_spaces = [{'type': 'Replace', 'pattern': {'String': '▁'}, 'content': ' '}, {'type': 'ByteFallback'}, {'type': 'Fuse'}]
strip = {'type': 'Strip', 'content': ' ', 'start': 1, 'stop': 0}


def metaspace(scheme):
    return {'type': 'Metaspace', 'replacement': '▁', 'prepend_scheme': scheme, 'split': False}


sentence_piece = {
    'llama-2': {'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'Prepend', 'prepend': '▁'}, space]}, 'pre': None,
                'decoder': {'type': 'Sequence', 'decoders': [*decode_spaces, strip]}},
    'gemma': {'normalizer': space, 'pre': {'type': 'Split', 'pattern': {'String': ' '}, 'behavior': 'MergedWithPrevious', 'invert': False},
              # no piece mixes lines with other text
              'trained_with': split('\n+'),
              'decoder': {'type': 'Sequence', 'decoders': decode_spaces}},
    'metaspace-first': {'normalizer': None, 'pre': metaspace('first'), 'decoder': {'type': 'Sequence', 'decoders': [*decode_spaces, strip]}},
    'metaspace-always': {'normalizer': None, 'pre': metaspace('always'), 'decoder': {'type': 'Sequence', 'decoders': [*decode_spaces, strip]}},
}
unigrams = {
    'unigram': {'normalizer': {'type': 'NFKC'}, 'pre': {**metaspace('always'), 'split': True}, 'decoder': metaspace('always'), 'falls_back': False},
    'unigram-bytes': {'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'Prepend', 'prepend': '▁'}, space]}, 'pre': None,
                      'decoder': {'type': 'Sequence', 'decoders': [*decode_spaces, strip]}, 'falls_back': True},
}
corpus = [text for text in texts for _ in range(3)]
hex_bytes = [f'<0x{b:02X}>' for b in range(256)]


def with_pieces(model, trainer, part):
    """The trained vocabulary, learned with the form's own cuts."""
    form = json.loads(Tokenizer(model).to_str()) | {'normalizer': part.get('normalizer'), 'pre_tokenizer': part.get('trained_with', part['pre'])}
    tokenizer = Tokenizer.from_str(json.dumps(form))
    tokenizer.train_from_iterator(corpus, trainer)
    return json.loads(tokenizer.to_str()) | {'pre_tokenizer': part['pre']}


def byte_pairs(part):
    trainer = trainers.BpeTrainer(vocab_size=430, show_progress=False, initial_alphabet=ByteLevel.alphabet(), special_tokens=names)
    form = with_pieces(models.BPE(), trainer, part)
    form['model']['ignore_merges'] = part.get('ignore_merges', False)
    return form | {'decoder': bytes_after(use_regex=True)}


def pieces(part):
    trainer = trainers.BpeTrainer(vocab_size=620, show_progress=False, special_tokens=[*names, *hex_bytes], limit_alphabet=60)
    form = with_pieces(models.BPE(unk_token='<unk>', byte_fallback=True, fuse_unk=True), trainer, part)
    form['added_tokens'] = [token for token in form['added_tokens'] if token['content'] in names]
    return form | {'decoder': part['decoder']}


def unigram(part):
    specials = [*names, *(hex_bytes if part['falls_back'] else [])]
    trainer = trainers.UnigramTrainer(vocab_size=520, show_progress=False, special_tokens=specials, unk_token='<unk>', max_piece_length=8)
    form = with_pieces(models.Unigram([('<unk>', 0.0)], 0, False), trainer, part)
    form['model']['byte_fallback'] = part['falls_back']
    form['added_tokens'] = [token for token in form['added_tokens'] if token['content'] in names]
    return form | {'decoder': part['decoder']}


def hexadecimal(text):
    return ' '.join(f'{ord(c):X}' for c in text)


def rules():
    """A character map of the kind that SentencePiece calls nmt_nfkc, for what is in the texts."""
    pairs = {}
    for text in texts:
        for n in (1, 2):
            for i in range(len(text) - n + 1):
                part = text[i:i + n]
                if n == 1 and (part.isspace() and part != ' ' or part in '\u200b\ufeff\u2028\u2029'):
                    pairs[part] = ' '
                elif n == 1 and unicodedata.category(part) in ('Cc', 'Cf') and part != '\u200d':
                    pairs[part] = ''
                elif unicodedata.normalize('NFKC', part) != part and (n == 1 or unicodedata.combining(part[1])):
                    pairs[part] = unicodedata.normalize('NFKC', part)
    pairs.pop('\0', None)
    return ''.join(f'{hexadecimal(source)}\t{hexadecimal(target)}\n' for source, target in sorted(pairs.items()))


def sentence_piece_unigram():
    """What SentencePiece trains, in the form that transformers gives T5 and its relatives."""
    with tempfile.NamedTemporaryFile('w', suffix='.tsv') as table:
        table.write(rules())
        table.flush()
        trained = io.BytesIO()
        lines = [line for text in corpus for line in text.splitlines() if line and '\0' not in line]
        SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=trained, model_type='unigram', vocab_size=420, hard_vocab_limit=False,
            normalization_rule_tsv=table.name, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1, minloglevel=2,
            user_defined_symbols=['<|tool|>'])
    proto = ModelProto.FromString(trained.getvalue())
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    return {
        'version': '1.0', 'truncation': None, 'padding': None, 'post_processor': None,
        'added_tokens': [added | {'id': i, 'content': proto.pieces[i].piece} for i in range(4)],
        'normalizer': {'type': 'Sequence', 'normalizers': [
            {'type': 'Precompiled', 'precompiled_charsmap': charsmap}, {'type': 'Strip', 'strip_left': False, 'strip_right': True},
            {'type': 'Replace', 'pattern': {'Regex': ' {2,}'}, 'content': '▁'}]},
        'pre_tokenizer': {**metaspace('always'), 'split': True}, 'decoder': {**metaspace('always'), 'split': True},
        'model': {'type': 'Unigram', 'unk_id': 2, 'vocab': [[piece.piece, piece.score] for piece in proto.pieces], 'byte_fallback': False},
    }


forms = {**{name: byte_pairs(part) for name, part in byte_level.items()}, **{name: pieces(part) for name, part in sentence_piece.items()},
         **{name: unigram(part) for name, part in unigrams.items()},
         'unigram-charsmap': sentence_piece_unigram()}
golden = {'texts': texts, 'tokenizers': {}}
for name, form in forms.items():
    tokenizer = Tokenizer.from_str(json.dumps(form))
    encoded = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    decoded = [tokenizer.decode(ids, skip_special_tokens=False) for ids in encoded]
    # what a stream sees: all ids but the last one
    cut = [tokenizer.decode(ids[:-1], skip_special_tokens=False) for ids in encoded]
    golden['tokenizers'][name] = {'tokenizer': form, 'ids': encoded, 'decoded': decoded, 'cut': cut}
with open(sys.argv[1], 'wb') as file, gzip.GzipFile(fileobj=file, mode='wb', mtime=0, filename='') as packed:
    packed.write(json.dumps(golden, ensure_ascii=False).encode())
