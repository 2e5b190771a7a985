import { describe, expect, it } from 'vitest'
import { filled, modelOf, type Tensors, tinyConfig, tinyTensors } from '../../../test/tiny-model.ts'
import { tensor } from '../../core/tensor.ts'
import { openWeights } from '../weights.ts'

const open = async (config: object, tensors?: Tensors) =>
  openWeights(await modelOf(tensors, { ...tinyConfig, ...config }))

describe('weights that another tool quantised', () => {
  it.each([
    // plain numbers, whatever it says
    ['fp8', { quantization_config: { quant_method: 'fp8', weight_block_size: [128, 128] } }],
    [
      'GPTQ in the format marlin',
      { quantization_config: { quant_method: 'gptq', checkpoint_format: 'marlin' } },
    ],
    ['GPTQ with 5 bits', { quantization_config: { quant_method: 'gptq', bits: 5 } }],
    ['AWQ in the version gemv', { quantization_config: { quant_method: 'awq', version: 'gemv' } }],
    [
      'compressed-tensors, nvfp4-pack-quantized',
      { quantization_config: { quant_method: 'compressed-tensors', format: 'nvfp4-pack-quantized' } },
    ],
    ['HQQ', { quantization_config: { quant_method: 'hqq' } }],
    ['QuIP#', { quantization_config: { quant_method: 'quip' } }],
    ['EXL3 (ExLlamaV3)', { quantization_config: { quant_method: 'exl3' } }],
    ['VPTQ', { quantization_config: { quant_method: 'vptq' } }],
    ['AutoRound', { quantization_config: { quant_method: 'intel/auto-round' } }],
    ['bitsandbytes', { quantization_config: { quant_method: 'bitsandbytes', load_in_8bit: true } }],
    ['gptq', { quantization_config: { quant_method: 'gptq', bits: 4 } }],
    ['something-new', { quantization_config: { quant_method: 'something-new' } }],
    ['compressed-tensors', { compression_config: { quant_method: 'compressed-tensors' } }],
    ['MLX', { quantization: { group_size: 64, bits: 4 }, quantization_config: { group_size: 64, bits: 4 } }],
    ['an unnamed method', { quantization_config: { bits: 4 } }],
  ])('%s is named, with the way out', async (method, config) => {
    await expect(open(config)).rejects.toThrow(`the files: it is already quantised by ${method}, says `)
    await expect(open(config)).rejects.toMatchObject({ hint: expect.stringContaining('open the original') })
  })

  it('is read decoded where its format is known', async () => {
    const name = 'model.layers.0.mlp.up_proj.weight'
    const codes = tensor('F8_E4M3', [16, 8], new Uint8Array(128).fill(0x38))
    const scale = tensor('F32', [1, 1], Float32Array.of(0.25))
    const tensors = { ...tinyTensors(), [name]: codes, [`${name}_scale_inv`]: scale }
    const model = await open({ quantization_config: { quant_method: 'fp8' } }, tensors)
    expect((await model.read(name)).data).toEqual(new Float32Array(128).fill(0.25))
    expect(model.bytesOf(name)).toBe(132)
    expect(model.warning).toBeUndefined()
  })

  it('nothing is said by null', async () => {
    expect((await open({ quantization_config: null })).warning).toBeUndefined()
  })
})

describe('keys of config.json', () => {
  it('that say nothing about the computation are known', async () => {
    const config = {
      ...{ architectures: ['LlamaForCausalLM'], transformers_version: '5.0.0', torch_dtype: 'float32' },
      ...{ _name_or_path: '', initializer_range: 0.02, use_cache: true, pretraining_tp: 1, pad_token_id: 0 },
      ...{
        attention_dropout: 0.1,
        id2label: { 0: 'LABEL_0' },
        is_encoder_decoder: false,
        some_new_flag: false,
      },
      ...{ rope_theta: 10_000, rope_scaling: null, mlp_bias: false, hidden_act: 'silu' },
    }
    expect((await open(config)).warning).toBeUndefined()
  })

  it('that nothing understood are one warning, also told as progress', async () => {
    const events: unknown[] = []
    const files = await modelOf(tinyTensors(), { ...tinyConfig, logits_scaling: 8, residual_multiplier: 0.2 })
    const { warning } = await openWeights(files, { onProgress: event => void events.push(event) })
    expect(warning).toBe('the files: not used: logits_scaling, residual_multiplier of config.json')
    expect(events).toEqual([{ event: 'warning', message: warning, done: 0, total: 0 }])
  })

  it('a soft cap of logits is Gemma’s alone, and said to be unused elsewhere', async () => {
    const { config, warning } = await open({ final_logit_softcapping: 5 })
    expect(config.logitSoftcap).toBeUndefined()
    expect(warning).toBe('the files: not used: final_logit_softcapping of config.json')
  })

  it.each([
    [{ use_bidirectional_attention: true }, 'use_bidirectional_attention true is not supported'],
    [{ is_encoder_decoder: true }, 'is_encoder_decoder true is not supported'],
    [
      { rope_scaling: { rope_type: 'linear', factor: 2, something: 1 } },
      'rope_scaling.something 1 is not supported',
    ],
    [
      { rope_parameters: { full_attention: { rope_theta: 1e4, rope_type: 'default', other: 'x' } } },
      'rope_parameters.full_attention.other "x" is not supported',
    ],
  ])('%o is refused', async (config, message) => {
    await expect(open(config)).rejects.toThrow(`config.json: ${message}`)
  })
})

describe('counts are compared with the tensors before anything of their size is made', () => {
  it.each([
    ['num_hidden_layers', 1e7, /num_hidden_layers is 10000000, but the weights have 21 tensors/],
    ['num_hidden_layers', 2 ** 53 - 1, /but the weights have 21 tensors/],
    ['head_dim', 2 ** 28, /head_dim is 268435456, but the weights have no side longer than 16/],
    ['hidden_size', 2 ** 31, /no side longer than 16/],
    ['vocab_size', 2 ** 31, /no side longer than 16/],
    ['intermediate_size', 2 ** 40, /no side longer than 16/],
  ])('%s = %d', async (key, value, message) => {
    await expect(open({ [key]: value })).rejects.toThrow(message)
  })

  it('a tensor of no bytes lends no side', async () => {
    const empty = { ...tinyTensors(), empty: filled([0, 2 ** 30]) }
    await expect(open({ head_dim: 2 ** 28 }, empty)).rejects.toThrow('no side longer than 16')
  })

  it('a matrix of an artifact lends no more than any model has, however many bytes there are', async () => {
    const files = await modelOf(tinyTensors(), { ...tinyConfig, head_dim: 2 ** 28 })
    const codes = { codec: 'grid', params: {}, shape: [1, 2 ** 30] as const, parts: [], bits: 1 }
    const artifact = {
      modules: new Map([['model.layers.0.mlp.up_proj', codes]]),
      readEncoded: () => Promise.reject(new Error('nothing is read')),
    }
    await expect(openWeights({ ...files, bytes: 2 ** 28, artifact })).rejects.toThrow(
      'head_dim is 268435456, but the weights have no side longer than 4000000',
    )
  })
})

describe('an output head beside tie_word_embeddings', () => {
  const tied = { tie_word_embeddings: true }

  it('is used where it differs from the embedding', async () => {
    const model = await open(tied)
    expect(model.config.tiedHead).toBe(false)
    expect(model.config.source.tie_word_embeddings).toBe(false)
    expect((await model.read('lm_head.weight')).data).toEqual(tinyTensors()['lm_head.weight'].data)
    expect(model.warning).toMatch(
      /tie_word_embeddings of config\.json \(a head that differs is stored, and used\)/,
    )
  })

  it('is the embedding where that was not saved', async () => {
    const { 'model.embed_tokens.weight': _, ...tensors } = tinyTensors()
    const model = await open(tied, tensors)
    expect(model.config.tiedHead).toBe(true)
    expect((await model.read('model.embed_tokens.weight')).data).toEqual(tensors['lm_head.weight'].data)
  })

  it('is the embedding where it has the same values', async () => {
    const tensors = tinyTensors()
    const model = await open(tied, { ...tensors, 'lm_head.weight': tensors['model.embed_tokens.weight'] })
    expect(model.config.tiedHead).toBe(true)
    expect(model.warning).toBeUndefined()
  })
})
