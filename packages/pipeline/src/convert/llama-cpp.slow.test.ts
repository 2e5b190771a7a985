import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  byteLevelTokenizer,
  fixture,
  goldenModelsInGguf,
  openLlamaCpp,
  replacesSpaces,
  sentencePieceTokenizer,
  writeRandomModel,
} from '@reallm/testing'
import {
  type HuggingFaceConfig,
  loadWeights,
  nextTokenLoss,
  openWeights,
  type TokenizerFiles,
  tf,
  useBackend,
} from '@reallm/transformer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { smallGemma, smallLlama } from '../../test/small-models.ts'
import { awkwardTexts } from '../output/awkward-texts.ts'
import { convertModel } from './convert.ts'

const opened = await openLlamaCpp()
const [llama, why] = typeof opened === 'string' ? [undefined, ` (skipped: ${opened})`] : [opened, '']
const scratch = mkdtempSync(join(tmpdir(), 'llama-cpp-'))
beforeAll(() => useBackend('wasm'))
afterAll(async () => {
  rmSync(scratch, { recursive: true })
  await llama?.close()
})

/** Converts a model in float32 and returns the path of the GGUF. */
async function toGguf(folder: string): Promise<string> {
  const model = await openWeights(folder)
  try {
    await convertModel(model, { to: `${folder}.gguf`, dtype: 'f32' })
  } finally {
    await model.close()
  }
  return `${folder}.gguf`
}

/** Mean cross-entropy of the next tokens of some rows. */
async function lossOf(folder: string, rows: number[][]): Promise<number> {
  const model = await openWeights(folder)
  const weights = await loadWeights(model)
  const loss = tf.tidy(
    () => nextTokenLoss(model.config, weights, tf.tensor2d(rows, undefined, 'int32')).dataSync()[0],
  )
  tf.dispose(weights)
  await model.close()
  return loss
}

const rows = Array.from({ length: 2 }, (_, row) =>
  Array.from({ length: 24 }, (_, i) => (7 * i * i + 31 * row + 3) % 274),
)
const vocab_size = 320
const longRope = {
  model_type: 'phi3',
  partial_rotary_factor: 0.75,
  rope_scaling: { type: 'longrope', short_factor: [1, 1.1, 1.3], long_factor: [1, 3, 6] },
}
const granite4 = {
  model_type: 'granitemoehybrid',
  layer_types: ['mamba', 'attention'],
  shared_intermediate_size: 48,
  mamba_n_heads: 8,
  mamba_d_state: 16,
  attention_multiplier: 0.3,
  residual_multiplier: 0.5,
}
const qwen35 = {
  model_type: 'qwen3_5_text',
  head_dim: 32,
  linear_num_key_heads: 2,
  linear_num_value_heads: 4,
  linear_key_head_dim: 16,
  linear_value_head_dim: 16,
  full_attention_interval: 2,
}
const gemma2 = {
  model_type: 'gemma2',
  hidden_activation: 'gelu_pytorch_tanh',
  query_pre_attn_scalar: 8,
  sliding_window: 4,
}

/** Digits that agree: llama.cpp looks Gemma's GELU up in a table of 16 bits. */
const digits = (model_type: unknown) => (/^gemma/.test(`${model_type}`) ? 3 : 4)

describe.skipIf(!llama)(`llama.cpp computes the loss of what is written${why}`, () => {
  it.each<[string, HuggingFaceConfig]>([
    ...goldenModelsInGguf.map((name): [string, HuggingFaceConfig] => [
      name,
      name === 'gemma3-text' ? { torch_dtype: 'float32' } : {},
    ]),
    ['mistral-untied', { sliding_window: null }],
    ['exaone4', { sliding_window: null, layer_types: null }],
  ])('%s', async (name, changes) => {
    const folder = join(scratch, name)
    cpSync(fixture(`models/${name}`), folder, { recursive: true })
    const { tokenizer, config } = byteLevelTokenizer()
    const settings = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'))
    const write = (file: string, json: object) =>
      writeFileSync(join(folder, `${file}.json`), JSON.stringify(json))
    write('config', { ...settings, ...changes })
    write('tokenizer', tokenizer)
    write('tokenizer_config', config)
    const loss = await llama!.loss(await toGguf(folder), rows)
    // llama.cpp rounds the range of YaRN's ramp in every model.
    const { rope_parameters: rope } = settings
    if (rope?.truncate === false)
      write('config', { ...settings, rope_parameters: { ...rope, truncate: true } })
    expect(loss).toBeCloseTo(await lossOf(folder, rows), digits(settings.model_type))
  })

  it.each<[string, HuggingFaceConfig]>([
    ['biases of the MLP', { mlp_bias: true }],
    ['biases of attention', { attention_bias: true }],
    ['a head of its own', { tie_word_embeddings: false, head_dim: 12 }],
    ['linear rope', { rope_scaling: { type: 'linear', factor: 2.5 } }],
    [
      'Llama 3’s rope',
      { rope_scaling: { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 16 } },
    ],
    ['yarn', { rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 } }],
    [
      'yarn with a magnitude',
      {
        rope_scaling: {
          rope_type: 'yarn',
          factor: 4,
          original_max_position_embeddings: 16,
          attention_factor: 0.7,
        },
      },
    ],
    [
      'Qwen 2’s yarn',
      {
        model_type: 'qwen2',
        rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
      },
    ],
    ['Phi’s LongRoPE, long', { ...longRope, original_max_position_embeddings: 16 }],
    [
      'Phi’s LongRoPE, short',
      { ...longRope, max_position_embeddings: 1024, original_max_position_embeddings: 512 },
    ],
    [
      'Hunyuan’s stretched base',
      { model_type: 'hunyuan_v1_dense', rope_scaling: { type: 'dynamic', alpha: 50, factor: 1 } },
    ],
    [
      'Granite’s biases and factors',
      {
        ...{ model_type: 'granite', attention_bias: true, mlp_bias: true, embedding_multiplier: 3 },
        ...{ residual_multiplier: 0.4, attention_multiplier: 0.2, logits_scaling: 2 },
      },
    ],
    ['Granite without factors', { model_type: 'granite' }],
    [
      'OLMo 3’s yarn, of the layer that does not slide',
      {
        ...{ model_type: 'olmo3', num_hidden_layers: 4, sliding_window: 6, tie_word_embeddings: false },
        rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 16 },
      },
    ],
    [
      'EXAONE’s rope, without windows',
      {
        ...{ model_type: 'exaone4', sliding_window: null },
        rope_scaling: { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 16 },
      },
    ],
    ['Granite 4’s experts beside a shared MLP', { ...granite4, num_local_experts: 4 }],
    [
      'Granite 4’s groups, with a rotary embedding',
      { ...granite4, num_local_experts: 0, mamba_n_groups: 2, position_embedding_type: 'rope' },
    ],
    ['Qwen 3.5, a value head for each key head', { ...qwen35, linear_num_value_heads: 2 }],
    [
      'Qwen 3.5, every other layer attending',
      { ...qwen35, full_attention_interval: 2, num_hidden_layers: 4 },
    ],
    [
      'LFM2 with an adjusted width',
      {
        ...{ model_type: 'lfm2', full_attn_idxs: [1], block_ffn_dim_multiplier: 1.3, block_multiple_of: 16 },
        intermediate_size: 70,
      },
    ],
    ['SmolLM3 of five layers', { model_type: 'smollm3', num_hidden_layers: 5 }],
    ['Gemma 2’s layer types', { ...gemma2, layer_types: ['full_attention', 'sliding_attention'] }],
    ['Gemma’s layer types', { ...smallGemma, layer_types: ['full_attention', 'sliding_attention'] }],
    ['Gemma’s local theta', { ...smallGemma, rope_local_base_freq: 100 }],
    [
      'Gemma’s linear rope',
      {
        ...smallGemma,
        rope_scaling: { rope_type: 'linear', factor: 8 },
        layer_types: ['full_attention', 'sliding_attention'],
      },
    ],
    ['Gemma’s soft cap', { ...smallGemma, final_logit_softcapping: 3 }],
    ['Gemma without windows', { ...smallGemma, sliding_window: null }],
  ])('%s', async (name, settings) => {
    const folder = join(scratch, name.replaceAll(/\W/g, '-'))
    await writeRandomModel(
      folder,
      { ...smallLlama, vocab_size, ...settings },
      { tokenizer: byteLevelTokenizer() },
    )
    expect(await llama!.loss(await toGguf(folder), rows)).toBeCloseTo(
      await lossOf(folder, rows),
      digits(settings.model_type),
    )
  })
})

describe.skipIf(!llama)(`llama.cpp gives the ids of what is written${why}`, () => {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false }
  const split = (Regex: string) => ({
    type: 'Split',
    pattern: { Regex },
    behavior: 'Isolated',
    invert: false,
  })
  const cl100k = (digits: string) =>
    `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`
  const cuts = (...splits: object[]) => ({
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...splits, byteLevel] },
  })

  it.each<[string, TokenizerFiles]>([
    ['GPT-2', byteLevelTokenizer()],
    ['with tokens around texts', byteLevelTokenizer({ begins: true, ends: true })],
    [
      'SmolLM',
      byteLevelTokenizer({
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Digits', individual_digits: true },
            { ...byteLevel, use_regex: true },
          ],
        },
      }),
    ],
    [
      'Llama 3',
      byteLevelTokenizer({ ...cuts(split(cl100k('\\p{N}{1,3}'))), ignore_merges: true, begins: true }),
    ],
    ['Qwen 2', byteLevelTokenizer({ ...cuts(split(cl100k('\\p{N}'))), normalizer: { type: 'NFC' } })],
    ['Qwen 2 without NFC', byteLevelTokenizer(cuts(split(cl100k('\\p{N}'))))],
    ['Llama 2', sentencePieceTokenizer()],
    ['Gemma', sentencePieceTokenizer({ normalizer: replacesSpaces })],
  ])('%s', async (name, tokenizer) => {
    const folder = join(scratch, `tokenizer-${name.replaceAll(/\W/g, '-')}`)
    await writeRandomModel(folder, { ...smallLlama, vocab_size }, { tokenizer })
    const path = await toGguf(folder)
    const model = await openWeights(folder)
    const { encode, bos, eos } = await model.tokenizer()
    await model.close()
    const texts = [...awkwardTexts, 'a<tool>b', 'a <tool> b', '<|begin|>x<|end|>', '<s>x</s> y']
    expect(await llama!.tokenize(path, texts)).toEqual(texts.map(text => encode(text)))
    const addsBos = encode('a', { special: true })[0] === bos
    expect(await llama!.ends(path)).toEqual({ bos: addsBos ? bos : expect.anything(), eos: eos[0], addsBos })
  })
})
