import { describe, expect, it } from 'vitest'
import { ReallmError } from '../core/errors.ts'
import { allTensors, linearModules, parseConfig } from './config.ts'

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
const slides = (source: object) => parseConfig(source as never).windows.map(w => w === 32)

describe('parseConfig', () => {
  it('reads a config of transformers 4', () => {
    expect(parseConfig(llama)).toMatchObject({
      headDim: 64,
      kvHeads: 3,
      tiedHead: true,
      eos: [2, 0],
      activation: 'silu',
    })
  })

  it('reads rope scaling of transformers 4 and 5 alike', () => {
    const scaling = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 2048 }
    const four = parseConfig({ ...llama, rope_scaling: { ...scaling, rope_type: undefined, type: 'yarn' } })
    const { rope_theta, ...rest } = llama
    const five = parseConfig({ ...rest, rope_parameters: { ...scaling, rope_theta } })
    expect(four.ropes).toEqual(five.ropes)
    expect(four.ropes[0].scale).toBeGreaterThan(1)
  })

  it('knows which layers slide', () => {
    expect(slides({ ...layers, model_type: 'llama' })).not.toContain(true)
    expect(slides({ ...layers, model_type: 'mistral' })).not.toContain(false)
    const seesAll = parseConfig({ ...layers, model_type: 'mistral', sliding_window: null }).windows
    expect(seesAll.every(w => w === undefined)).toBe(true)
    expect(slides({ ...layers, model_type: 'qwen2', max_window_layers: 3 })).not.toContain(true)
    const qwen = { ...layers, model_type: 'qwen2', use_sliding_window: true, max_window_layers: 3 }
    expect(slides(qwen)).toEqual([false, false, false, true, true, true, true, true])
    const gemma = { ...layers, model_type: 'gemma3_text', head_dim: 64 }
    expect(slides(gemma)).toEqual([true, true, true, true, true, false, true, true])
  })

  it('gives Gemma’s sliding layers a rope of their own', () => {
    const source = {
      ...layers,
      model_type: 'gemma3_text',
      head_dim: 64,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    }
    const { rope_theta: _, ...gemma } = source
    const { ropes } = parseConfig(gemma)
    expect(ropes[0].inverseFrequencies[1]).toBeCloseTo(10_000 ** (-2 / 64), 12)
    expect(ropes[5].inverseFrequencies[1]).toBeCloseTo(1_000_000 ** (-2 / 64) / 8, 12)
  })

  it.each([
    [{ model_type: 'mamba' }, /mamba.*/, /llama, mistral, qwen2, qwen3, gemma3_text/],
    [{ hidden_act: 'relu' }, /relu/, /silu/],
    [{ rope_scaling: { rope_type: 'longrope', factor: 2 } }, /longrope/, /default, linear, llama3, yarn/],
  ])('refuses %o and lists what is supported', (change, message, hint) => {
    try {
      parseConfig({ ...llama, ...change })
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
    [{ num_key_value_heads: 4 }, '9 heads cannot share 4'],
    [{ head_dim: 63 }, 'head_dim 63 is odd'],
    [{ layer_types: ['full_attention'] }, 'layer_types has 1'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor'],
    [{ rope_theta: 'x' }, 'rope_theta'],
  ])('names an impossible value: %o', (change, message) => {
    expect(() => parseConfig({ ...llama, ...change } as never)).toThrow(message)
  })
})

describe('tensors', () => {
  it('are those of SmolLM2', () => {
    const config = parseConfig(llama)
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
    expect(allTensors(config).size).toBe(272)
    expect(allTensors(parseConfig({ ...llama, tie_word_embeddings: false })).get('lm_head.weight')).toEqual([
      49152, 576,
    ])
  })
})
