import { describe, expect, it } from 'vitest'
import { filled, modelOf, renamed, type Tensors, tinyConfig, tinyTensors } from '../../../test/tiny-model.ts'
import { tensor } from '../../core/tensor.ts'
import { openWeights } from '../weights.ts'

const q = 'model.layers.0.self_attn.q_proj'
const open = async (tensors: Tensors, config: object = {}) =>
  openWeights(await modelOf(tensors, { ...tinyConfig, ...config }))
const refused = (tensors: Tensors, config: object = {}) => expect(open(tensors, config)).rejects
const without = (...names: string[]): Tensors =>
  Object.fromEntries(Object.entries(tinyTensors()).filter(([name]) => !names.includes(name)))

describe('tensors beside those that are used', () => {
  it.each([
    [`${q}.weight_scale_inv`, 'FP8'],
    [`${q}.SCB`, 'bitsandbytes'],
    [`${q}.weight.absmax`, 'bitsandbytes'],
    [`${q}.weight_scale`, 'compressed-tensors'],
    [`${q}.scales`, 'MLX'],
    [`${q}.bias`, 'biases that the configuration does not have'],
    [`${q}.lora_A.default.weight`, 'an adapter that was not merged'],
    ['model.layers.1.mlp.experts.0.up_proj.weight', 'a mixture of experts'],
    ['_orig_mod.model.layers.1.self_attn.qkv_proj.weight', 'stored fused'],
  ])('%s would change the result', async (name, what) => {
    const tensors = { ...tinyTensors(), [name]: filled([8]) }
    await refused(tensors).toThrow(`it holds ${name}, which belongs to `)
    await refused(tensors).toThrow(what)
  })

  it('of a kind that is not known are refused inside the model', async () => {
    for (const name of [
      'model.layers.0.self_attn.q_norm.weight',
      'model.norm.shift',
      'lm_head.temperature',
    ]) {
      await refused({ ...tinyTensors(), [name]: filled([8]) }).toThrow(
        `it holds ${name}, which the configuration has no place for`,
      )
    }
  })

  it('are one warning outside of it', async () => {
    const more = [
      'vision_tower.a',
      'vision_tower.b',
      'mtp.c',
      'score.weight',
      'model.layers.2.mlp.up_proj.weight',
    ]
    const { warning } = await open({
      ...tinyTensors(),
      ...Object.fromEntries(more.map(name => [name, filled([8])])),
    })
    expect(warning).toMatch(/^the files: not used: 5 tensors, \S+, \S+, \S+ and 2 more$/)
  })

  it('that follow from the configuration are known', async () => {
    const tensors = {
      ...tinyTensors(),
      'model.layers.0.self_attn.rotary_emb.inv_freq': filled([4]),
      'model.layers.0.self_attn.k_scale': filled([]),
    }
    expect((await open(tensors)).warning).toBeUndefined()
  })
})

it('codes without scales are no weights', async () => {
  const codes = tensor('I8', [8, 8], new Int8Array(64))
  await refused({ ...tinyTensors(), [`${q}.weight`]: codes }).toThrow(`${q}.weight is stored as I8`)
  const float8 = tensor('F8_E4M3', [8, 8], new Uint8Array(64).fill(0x38))
  const model = await open({ ...tinyTensors(), [`${q}.weight`]: float8 })
  expect((await model.read(`${q}.weight`)).data).toEqual(new Float32Array(64).fill(1))
})

describe('a tensor that is missing says why', () => {
  it('no output head', async () => {
    await refused(without('lm_head.weight')).toThrow('missing lm_head.weight: there is no output head')
    await refused(without('lm_head.weight')).toMatchObject({
      hint: expect.stringContaining('tie_word_embeddings'),
    })
  })

  it('fewer layers than the configuration has', async () => {
    await refused(tinyTensors(), { num_hidden_layers: 4 }).toThrow(
      'the configuration has 4 layers, the weights 2',
    )
  })

  it.each([
    ['GPTQ', (name: string) => name.replace(/_proj\.weight$/, '_proj.qweight')],
    ['MXFP4', (name: string) => name.replace(/mlp\.up_proj\.weight$/, 'mlp.experts.gate_up_proj_blocks')],
    ['fused', (name: string) => name.replace(/q_proj\.weight$/, 'qkv_proj.weight')],
    ['a mixture of experts', (name: string) => name.replace(/mlp\.up_proj/, 'mlp.experts.0.up_proj')],
    ['an adapter', (name: string) => name.replace(/q_proj\.weight$/, 'q_proj.base_layer.weight')],
  ])('layouts that are known: %s', async (what, rename) => {
    await refused(renamed(tinyTensors(), rename)).toThrow(
      new RegExp(`missing model\\.layers\\.0.*belongs to .*${what}`),
    )
  })

  it('what is there instead', async () => {
    const other = renamed(tinyTensors(), name => name.replace('input_layernorm', 'ln_1'))
    await refused(other).toThrow(
      'missing model.layers.0.input_layernorm.weight, model.layers.1.input_layernorm.weight: there is model.layers.0.ln_1.weight, model.layers.1.ln_1.weight instead',
    )
    await refused(without(`${q}.weight`)).toThrow(`missing ${q}.weight`)
  })
})
