import { describe, expect, it } from 'vitest'
import { ReallmError } from '../core/errors.ts'
import { parseConfig } from './config.ts'
import { attentionsOf, projectionGroups } from './layer-spec.ts'
import { allTensors, linearModules, widestInput } from './transformer-config.ts'

const llama = {
  model_type: 'llama',
  vocab_size: 49152,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  rms_norm_eps: 1e-5,
  rope_theta: 100000,
  tie_word_embeddings: true,
  eos_token_id: [2, 0],
}
const layers = { ...llama, num_hidden_layers: 8, sliding_window: 32 }
const mixers = async (source: object) => attentionsOf((await parseConfig(source as never)).layerSpecs)
const slides = async (source: object) => (await mixers(source)).map(({ window }) => window === 32)
const ropes = async (source: object) => (await mixers(source)).map(({ rope }) => rope!)

describe('parseConfig', () => {
  it('reads a config of transformers 4', async () => {
    const config = await parseConfig(llama)
    expect(config).toMatchObject({ layers: 30, tiedHead: true, eos: [2, 0], norm: { eps: 1e-5, offset: 0 } })
    expect(config.layerSpecs).toHaveLength(30)
    expect(config.layerSpecs[7]).toMatchObject({
      mixer: { kind: 'attention', heads: 9, kvHeads: 3, headDim: 64, scale: 1 / 8 },
      ffn: { kind: 'gated-mlp', activation: 'silu', width: 1536 },
      norms: { beforeMixer: { name: 'model.layers.7.input_layernorm', width: 576 }, afterMixer: undefined },
    })
  })

  it('takes one name for the family, and nothing that reads like one', async () => {
    await expect(parseConfig({ ...llama, model_type: ['llama'] } as never)).rejects.toMatchObject({
      code: 'unsupported',
      message: 'config.json: the model family ["llama"] is not supported',
    })
    await expect(parseConfig({ ...llama, model_type: 'lama' })).rejects.toMatchObject({ code: 'unsupported' })
  })

  it('reads rope scaling of transformers 4 and 5 alike', async () => {
    const scaling = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 2048 }
    const four = await ropes({ ...llama, rope_scaling: { ...scaling, rope_type: undefined, type: 'yarn' } })
    const { rope_theta, ...rest } = llama
    const five = await ropes({ ...rest, rope_parameters: { ...scaling, rope_theta } })
    expect(four).toEqual(five)
    expect(four[0].scale).toBeGreaterThan(1)
  })

  it('knows which layers slide', async () => {
    expect(await slides({ ...layers, model_type: 'llama' })).not.toContain(true)
    expect(await slides({ ...layers, model_type: 'mistral' })).not.toContain(false)
    const seesAll = await mixers({ ...layers, model_type: 'mistral', sliding_window: null })
    expect(seesAll.every(({ window }) => window === undefined)).toBe(true)
    expect(await slides({ ...layers, model_type: 'qwen2', max_window_layers: 3 })).not.toContain(true)
    const qwen = { ...layers, model_type: 'qwen2', use_sliding_window: true, max_window_layers: 3 }
    expect(await slides(qwen)).toEqual([false, false, false, true, true, true, true, true])
    const gemma = { ...layers, model_type: 'gemma3_text', head_dim: 64 }
    expect(await slides(gemma)).toEqual([true, true, true, true, true, false, true, true])
  })

  it('gives Gemma’s sliding layers a rope of their own', async () => {
    const source = {
      ...layers,
      model_type: 'gemma3_text',
      head_dim: 64,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    }
    const { rope_theta: _, ...gemma } = source
    const found = await ropes(gemma)
    expect(found[0].inverseFrequencies[1]).toBeCloseTo(10_000 ** (-2 / 64), 12)
    expect(found[5].inverseFrequencies[1]).toBeCloseTo(1_000_000 ** (-2 / 64) / 8, 12)
    expect(found[0]).toBe(found[1])
  })

  it.each([
    [{ model_type: 'mamba' }, /mamba.*/, /llama, mistral, .*qwen2, qwen3, .*gemma3_text/],
    [{ hidden_act: 'relu' }, /relu/, /silu/],
    [{ rope_scaling: { rope_type: 'dynamic', factor: 2 } }, /dynamic/, /default, linear, llama3, yarn/],
  ])('refuses %o and lists what is supported', async (change, message, hint) => {
    try {
      await parseConfig({ ...llama, ...change })
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(ReallmError)
      expect(error).toMatchObject({
        code: 'unsupported',
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      })
    }
  })

  it.each([
    [{ hidden_size: undefined }, 'hidden_size must be a positive integer'],
    [{ num_hidden_layers: -1 }, 'num_hidden_layers'],
    [{ num_hidden_layers: 1e9 }, 'num_hidden_layers'],
    [{ rope_scaling: { rope_type: 'longrope', long_factor: [1] } }, 'short_factor'],
    [{ num_key_value_heads: 4 }, '9 heads cannot share 4'],
    [{ head_dim: 63 }, 'head_dim 63 is odd'],
    [{ layer_types: ['full_attention'] }, 'layer_types has 1'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor'],
    [{ rope_theta: 'x' }, 'rope_theta'],
    [{ rope_theta: JSON.parse('1e999') }, 'rope_theta must be a positive number'],
  ])('names an impossible value: %o', async (change, message) => {
    await expect(parseConfig({ ...llama, ...change } as never)).rejects.toThrow(message)
  })
})

describe('tensors', () => {
  it('are those of SmolLM2', async () => {
    const config = await parseConfig(llama)
    const names = linearModules(config, 4).map(({ name, shape }) => [
      name.replace('model.layers.4.', ''),
      ...shape,
    ])
    expect(names).toEqual([
      ['self_attn.q_proj', 576, 576],
      ['self_attn.k_proj', 192, 576],
      ['self_attn.v_proj', 192, 576],
      ['self_attn.o_proj', 576, 576],
      ['mlp.gate_proj', 1536, 576],
      ['mlp.up_proj', 1536, 576],
      ['mlp.down_proj', 576, 1536],
    ])
    const { mixer, ffn } = projectionGroups(config.layerSpecs[4])
    expect([...mixer, ...ffn].map(group => group.length)).toEqual([3, 1, 2, 1])
    expect(widestInput(config)).toBe(1536)
    expect(allTensors(config).size).toBe(272)
    const untied = await parseConfig({ ...llama, tie_word_embeddings: false })
    expect(allTensors(untied).get('lm_head.weight')).toEqual([49152, 576])
  })
})
