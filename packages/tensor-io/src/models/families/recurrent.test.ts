import { describe, expect, it } from 'vitest'
import { parseConfig } from '../config.ts'
import { blockTensors, linearModules } from '../transformer-config.ts'

const common = {
  vocab_size: 320,
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
}
const lfm2 = { ...common, model_type: 'lfm2', conv_L_cache: 3, block_auto_adjust_ff_dim: false }
const granite = {
  ...common,
  model_type: 'granitemoehybrid',
  num_local_experts: 0,
  shared_intermediate_size: 96,
  mamba_n_heads: 8,
  mamba_d_state: 16,
  layer_types: ['mamba', 'mamba', 'attention', 'mamba'],
}
const qwen35 = {
  ...common,
  model_type: 'qwen3_5_text',
  head_dim: 32,
  linear_num_key_heads: 2,
  linear_num_value_heads: 4,
  linear_key_head_dim: 8,
  linear_value_head_dim: 16,
}
const kinds = async (source: object) =>
  (await parseConfig(source as never)).layerSpecs.map(({ mixer }) => mixer.kind)
const modules = async (source: object, i: number) =>
  linearModules(await parseConfig(source as never), i).map(({ name, shape }) => [
    name.split('.').slice(3).join('.'),
    ...shape,
  ])

describe('LFM2', () => {
  it('knows which layers attend, by their kinds or by their numbers', async () => {
    const conv = 'short-conv'
    expect(await kinds({ ...lfm2, full_attn_idxs: [2] })).toEqual([conv, conv, 'attention', conv])
    const layer_types = ['full_attention', 'conv', 'conv', 'full_attention']
    expect(await kinds({ ...lfm2, layer_types })).toEqual(['attention', conv, conv, 'attention'])
    expect(await kinds(lfm2)).not.toContain(conv)
  })

  it('has an MLP of two thirds of the width, rounded up', async () => {
    const adjusted = { ...lfm2, block_auto_adjust_ff_dim: true, intermediate_size: 1000 }
    expect((await modules(adjusted, 0)).at(-1)).toEqual(['feed_forward.w2', 64, 768])
    expect((await modules({ ...adjusted, block_ff_dim: 100 }, 0)).at(-1)).toEqual([
      'feed_forward.w2',
      64,
      256,
    ])
    expect((await modules({ ...lfm2, intermediate_size: 1000 }, 0)).at(-1)).toEqual([
      'feed_forward.w2',
      64,
      1000,
    ])
  })

  it('names its tensors', async () => {
    const config = await parseConfig({ ...lfm2, full_attn_idxs: [], conv_bias: true })
    expect(config.norm).toMatchObject({ name: 'model.embedding_norm', eps: 1e-5 })
    const tensors = blockTensors(config, 1)
    expect(tensors.get('model.layers.1.conv.conv.weight')).toEqual([64, 1, 3])
    expect(tensors.get('model.layers.1.conv.conv.bias')).toEqual([64])
    expect(tensors.get('model.layers.1.conv.in_proj.weight')).toEqual([192, 64])
    expect(tensors.get('model.layers.1.operator_norm.weight')).toEqual([64])
  })
})

describe('Granite 4', () => {
  it('reads the kinds of layers of transformers 4 and 5', async () => {
    expect(await kinds(granite)).toEqual(['mamba2', 'mamba2', 'attention', 'mamba2'])
    const five = ['linear_attention', 'linear_attention', 'full_attention', 'linear_attention']
    expect(await kinds({ ...granite, layer_types: five })).toEqual(await kinds(granite))
  })

  it('has one matrix for gate, values, keys, queries and steps', async () => {
    expect((await modules(granite, 0)).slice(0, 2)).toEqual([
      ['mamba.in_proj', 2 * 128 + 2 * 16 + 8, 64],
      ['mamba.out_proj', 64, 128],
    ])
    expect(blockTensors(await parseConfig(granite), 0).get('model.layers.0.mamba.D')).toEqual([8])
  })

  it('has a rotary embedding only when it says so', async () => {
    const ropes = async (source: object) =>
      (await parseConfig(source as never)).layerSpecs.map(
        ({ mixer }) => mixer.kind === 'attention' && mixer.rope !== undefined,
      )
    expect((await ropes(granite))[2]).toBe(false)
    expect((await ropes({ ...granite, position_embedding_type: 'rope' }))[2]).toBe(true)
  })
})

describe('Granite 4 with experts', () => {
  it('has experts that are stacked, beside an MLP that all positions reach', async () => {
    const { ffn } = (await parseConfig({ ...granite, num_local_experts: 4 })).layerSpecs[0]
    expect(ffn).toMatchObject({
      kind: 'experts',
      chosen: 2,
      softmaxOver: 'chosen',
      router: { name: 'model.layers.0.block_sparse_moe.router.layer', shape: [4, 64] },
      stacks: [{ parts: ['gate', 'up'], weight: 'model.layers.0.block_sparse_moe.input_linear.weight' }, {}],
      shared: { down: { name: 'model.layers.0.shared_mlp.output_linear' } },
    })
  })
})

describe('Qwen 3.5', () => {
  it('attends in every fourth layer, through a gate, a quarter of each head turning', async () => {
    expect(await kinds(qwen35)).toEqual([...Array(3).fill('gated-delta-net'), 'attention'])
    const { mixer } = (await parseConfig(qwen35)).layerSpecs[3]
    expect(mixer).toMatchObject({
      gated: true,
      query: { to: 256 },
      rope: { inverseFrequencies: { length: 4 } },
    })
    expect((await modules(qwen35, 0)).slice(0, 5)).toEqual([
      ['linear_attn.in_proj_qkv', 96, 64],
      ['linear_attn.in_proj_z', 64, 64],
      ['linear_attn.in_proj_b', 4, 64],
      ['linear_attn.in_proj_a', 4, 64],
      ['linear_attn.out_proj', 64, 64],
    ])
  })
})

describe('impossible values are named', () => {
  it.each([
    ['unsupported', { ...lfm2, layer_types: Array(4).fill('mamba') }, 'layer_types has "mamba"'],
    ['bad-file', { ...lfm2, full_attn_idxs: [], conv_L_cache: 0 }, 'conv_L_cache'],
    ['bad-file', { ...granite, mamba_n_heads: 7 }, 'mamba_n_heads'],
    ['bad-file', { ...granite, mamba_n_groups: 3 }, 'mamba_n_groups'],
    ['bad-file', { ...granite, mamba_d_head: 4 }, 'mamba_d_head 4'],
    ['bad-file', { ...granite, mamba_d_state: 1.5 }, 'mamba_d_state'],
    ['unsupported', { ...granite, time_step_limit: [0.001, 0.1] }, 'time_step_limit'],
    ['unsupported', { ...granite, hidden_act: 'gelu' }, 'activation gelu'],
    ['bad-file', { ...granite, num_local_experts: 1 }, '2 of 1 experts'],
    ['bad-file', { ...qwen35, linear_num_value_heads: 3 }, 'linear_num_key_heads'],
    ['bad-file', { ...qwen35, full_attention_interval: 0 }, 'full_attention_interval'],
  ])('%s: %o', async (code, source, message) => {
    await expect(parseConfig(source as never)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    })
  })
})
