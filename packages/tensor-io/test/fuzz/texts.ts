import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { bytesSource, encodeSafetensors, openFiles, tensor } from '../../src/index.ts'
import { readAdapter } from '../../src/models/adapter/index.ts'
import { openWeights } from '../../src/models/index.ts'
import { createTokenizer, tokenizerFromGguf } from '../../src/models/tokenizer/index.ts'
import { damagedJson, damagedText, jsonDamage, textDamage } from './damage.ts'
import { type Check, target } from './target.ts'

const packages = join(import.meta.dirname, '..', '..', '..')
const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(join(packages, path), 'utf8'))

const model = 'testing/fixtures/models/llama-gqa-tied'
const weights = readFileSync(join(packages, model, 'model.safetensors'))
const modelConfig = json(`${model}/config.json`)
const text = 'Hello, wörld 123 \n'

/** A small `tokenizer.json` with a part of every kind. */
const tokenizer = {
  added_tokens: [{ id: 4, content: '<s>', special: true, lstrip: false, rstrip: false, normalized: false }],
  normalizer: {
    type: 'Sequence',
    normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { String: ' ' }, content: '▁' }],
  },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Split', pattern: { Regex: '\\p{N}{1,3}' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    ],
  },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<s>': { id: '<s>', ids: [4], tokens: ['<s>'] } },
  },
  decoder: { type: 'Sequence', decoders: [{ type: 'ByteLevel' }, { type: 'Strip', content: ' ', start: 1 }] },
  model: { type: 'BPE', vocab: { H: 0, e: 1, l: 2, He: 3, '<s>': 4 }, merges: ['H e'], unk_token: '<s>' },
}
const unigram = {
  ...tokenizer,
  model: {
    type: 'Unigram',
    vocab: [
      ['<s>', 0],
      ['H', -1],
      ['He', -2],
    ],
    unk_id: 0,
    byte_fallback: true,
  },
}
const metadata = {
  'tokenizer.ggml.model': 'llama',
  'tokenizer.ggml.tokens': ['<unk>', '<s>', '</s>', '▁', 'H', 'e', 'He'],
  'tokenizer.ggml.scores': [0, 0, 0, -1, -2, -3, 0],
  'tokenizer.ggml.token_type': [2, 3, 3, 1, 1, 1, 1],
  'tokenizer.ggml.bos_token_id': 1,
  'tokenizer.ggml.add_bos_token': true,
  'tokenizer.chat_template': '{{ messages }}',
}
const template = String(json('tiny/model/tokenizer_config.json').chat_template)
const adapter = {
  ...{ peft_type: 'LORA', r: 1, lora_alpha: 2, bias: 'none', use_rslora: false, init_lora_weights: true },
  ...{ alpha_pattern: { q_proj: 3 }, rank_pattern: { 'layers.0': 1 }, target_modules: ['q_proj'] },
}
const factor = 'base_model.model.model.layers.0.self_attn.q_proj.lora_'
const factors = encodeSafetensors({
  [`${factor}A.weight`]: tensor('F32', [1, 4], new Float32Array(4)),
  [`${factor}B.weight`]: tensor('F32', [4, 1], new Float32Array(4)),
})

const size = (json: object) => JSON.stringify(json).length

function use(made: ReturnType<typeof createTokenizer>): void {
  made.decode(made.encode(text, { special: true }))
  if (made.hasChatTemplate) made.chat([{ role: 'user', content: text }])
}
const filesOf = (name: string, contents: object, tensors: string, bytes: Uint8Array) =>
  openFiles([
    { name, source: bytesSource(name, new TextEncoder().encode(JSON.stringify(contents))) },
    { name: tensors, source: bytesSource(tensors, bytes) },
  ])

const quantised = {
  ...{ quant_method: 'gptq', bits: 4, group_size: 16, desc_act: false, checkpoint_format: 'gptq' },
  ...{
    format: 'pack-quantized',
    config_groups: { all: { weights: { num_bits: 4, block_structure: [2, 2] } } },
  },
  weight_block_size: [16, 32],
}
const packed = readFileSync(join(packages, 'tensor-io/test/fixtures/quantised/gptq-4.safetensors'))

/** Texts that strangers write, by kind: each takes what is damaged in a good file, and reads the file. */
export const texts: Readonly<Record<string, Check>> = {
  'tokenizer.json': target(
    { bytes: size(tokenizer), names: /tokenizer\.json/ },
    fc.tuple(fc.boolean(), jsonDamage),
    ([first, damage]) =>
      use(createTokenizer({ tokenizer: damagedJson(first ? tokenizer : unigram, damage), config: {} })),
  ),
  'chat template': target({ bytes: template.length, names: /tokenizer/ }, textDamage, damage =>
    use(createTokenizer({ tokenizer, config: { chat_template: damagedText(template, damage) } })),
  ),
  'GGUF tokenizer': target({ bytes: size(metadata), names: /tokenizer/ }, jsonDamage, damage =>
    use(createTokenizer(tokenizerFromGguf(damagedJson(metadata, damage)))),
  ),
  'config.json': target(
    { bytes: weights.length, names: /the files|config\.json/ },
    jsonDamage,
    async damage => {
      const config = damagedJson(modelConfig, damage)
      await openWeights(await filesOf('config.json', config, 'model.safetensors', weights))
    },
  ),
  'quantised weights': target(
    { bytes: weights.length, names: /the files|config\.json/ },
    jsonDamage,
    async damage => {
      const config = { quantization_config: damagedJson(quantised, damage) }
      const files = await filesOf('config.json', config, 'model.safetensors', packed)
      for (const name of files.tensors.keys()) await files.readFloat32(name)
    },
  ),
  adapter: target({ bytes: factors.length, names: /adapter|the files/ }, jsonDamage, async damage => {
    const config = damagedJson(adapter, damage)
    await readAdapter(await filesOf('adapter_config.json', config, 'adapter_model.safetensors', factors))
  }),
}
