import { describe, expect, it } from 'vitest'
import { filled, modelOf, type Tensors } from '../../test/tiny-model.ts'
import { type Tensor, tensor } from '../core/tensor.ts'
import { parseConfig } from './config.ts'
import { stackBuilder, storedStacks } from './stacks.ts'
import { allTensors } from './transformer-config.ts'
import { openWeights } from './weights.ts'

const config = {
  model_type: 'gpt_oss',
  vocab_size: 12,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 8,
  num_local_experts: 3,
  num_experts_per_tok: 2,
}
const parsed = await parseConfig(config)
const experts = 'model.layers.0.mlp.experts'

/** The tensors of the model as a directory stores them, and one by one. */
function stored(): { files: Tensors; single: Tensors } {
  const stacks = stackBuilder(storedStacks(parsed))
  const [files, single]: Record<string, Tensor>[] = [{}, {}]
  for (const [i, [name, shape]] of [...allTensors(parsed)].entries()) {
    single[name] = filled(shape, i)
    const done = stacks.add({ name, shape, values: filled(shape, i).data as Float32Array<ArrayBuffer> })
    if (done) files[done.name] = tensor('F32', [...done.shape], done.values)
  }
  return { files, single }
}

describe('stacks of experts', () => {
  const { files, single } = stored()

  it('are stored transposed, gate and up in turns', async () => {
    const { shape, data } = files[`${experts}.gate_up_proj`]
    expect(shape).toEqual([3, 32, 128])
    const at = (name: string, row: number, col: number) => single[`${name}.weight`].data[row * 32 + col]
    expect(data[2 * 32 * 128 + 5 * 128 + 2 * 7]).toBe(at(`${experts}.2.gate_proj`, 7, 5))
    expect(data[2 * 32 * 128 + 5 * 128 + 2 * 7 + 1]).toBe(at(`${experts}.2.up_proj`, 7, 5))
    expect(files[`${experts}.down_proj_bias`].shape).toEqual([3, 32])
  })

  it.each([
    ['stacked', files],
    ['one by one', single],
  ])('read as the tensors of each expert, %s', async (_, tensors) => {
    const model = await openWeights(await modelOf(tensors, config))
    expect(model.names).toEqual(Object.keys(single))
    for (const [name, { data }] of Object.entries(single)) expect((await model.read(name)).data).toEqual(data)
    const up = `${experts}.1.up_proj.weight`
    expect((await model.read(up, [3, 5])).data).toEqual(single[up].data.slice(3 * 32, 5 * 32))
    await expect(model.read(up, [3, 65])).rejects.toMatchObject({ code: 'bad-option' })
    const bytes = model.names.reduce((sum, name) => sum + model.bytesOf(name), 0)
    expect(bytes).toBe(Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0))
  })

  it('of another size are refused by name', async () => {
    const wrong = { ...files, [`${experts}.down_proj`]: filled([2, 64, 32]) }
    await expect(openWeights(await modelOf(wrong, config))).rejects.toThrow(
      `${experts}.down_proj [2×64×32] should be [3×64×32]`,
    )
    const { [`${experts}.gate_up_proj_bias`]: _, ...less } = files
    await expect(openWeights(await modelOf(less, config))).rejects.toThrow(
      `missing ${experts}.0.gate_proj.bias`,
    )
  })
})

describe('stacks in MXFP4', () => {
  const { files } = stored()
  const name = `${experts}.gate_up_proj`
  const { [name]: _, ...rest } = files
  /** Block b of row r of each expert has the codes 0 to 15 twice, and the exponent r − 64. */
  const codes = Uint8Array.from(
    { length: 3 * 128 * 16 },
    (_, i) => ((2 * i) % 16) | (((2 * i + 1) % 16) << 4),
  )
  const scales = Uint8Array.from({ length: 3 * 128 }, (_, i) => 63 + (i % 128))
  const quantised = {
    ...rest,
    [`${name}_blocks`]: tensor('U8', [3, 128, 1, 16], codes),
    [`${name}_scales`]: tensor('U8', [3, 128, 1], scales),
  }
  const told = { ...config, quantization_config: { quant_method: 'mxfp4' } }

  it('read as the values of their codes', async () => {
    const model = await openWeights(await modelOf(quantised, told))
    expect(model.warning).toBeUndefined()
    const { data } = await model.read(`${experts}.1.up_proj.weight`, [32, 33])
    const values = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6]
    // row 32 of up is row 65 of both
    expect([...data]).toEqual([...values, ...values].map(v => 2 * v))
  })

  it('without their scales are refused', async () => {
    const { [`${name}_scales`]: _, ...less } = quantised
    await expect(openWeights(await modelOf(less, told))).rejects.toThrow(/missing .*experts\.0\.gate_proj/)
  })
})

describe('a configuration with experts', () => {
  it.each([
    [{ num_experts_per_tok: 4 }, 'cannot choose 4 of 3 experts'],
    [{ num_local_experts: 1e9 }, 'num_local_experts is 1000000000'],
    [{ num_local_experts: 0 }, 'num_local_experts must be a positive integer'],
    [{ swiglu_limit: -1 }, 'swiglu_limit must be a positive number'],
  ])('%o is refused', async (change, message) => {
    await expect(parseConfig({ ...config, ...change })).rejects.toThrow(message)
  })

  it('may have layers without any', async () => {
    const qwen = {
      ...config,
      model_type: 'qwen3_moe',
      num_hidden_layers: 4,
      moe_intermediate_size: 16,
      decoder_sparse_step: 2,
      mlp_only_layers: [1],
    }
    const kinds = (await parseConfig(qwen)).layerSpecs.map(({ ffn }) => ffn.kind)
    expect(kinds).toEqual(['gated-mlp', 'gated-mlp', 'gated-mlp', 'experts'])
  })
})
