import { describe, expect, it } from 'vitest'
import { ropeScalingFromGguf, ropeToGguf } from './gguf-rope.ts'
import { type RopeParameters, rope } from './rope.ts'

const headDim = 64
const maxPositions = 8192

/** The rope that comes back from what is written. */
function through(parameters: RopeParameters) {
  const { metadata, tensors } = ropeToGguf(parameters, headDim, maxPositions)
  const get = (key: string) => {
    const value = metadata[key]?.value
    return typeof value === 'number' ? Math.fround(value) : value
  }
  const scaling = ropeScalingFromGguf(get, tensors, headDim)
  const rope_theta = get('rope.freq_base') as number
  return { scaling, rope: rope({ rope_theta, ...scaling }, headDim, maxPositions) }
}

describe('a rope in GGUF', () => {
  it.each<[string, RopeParameters]>([
    ['default', { rope_theta: 10_000 }],
    ['linear', { rope_theta: 10_000, rope_type: 'linear', factor: 4 }],
    ['Llama 3.1', { rope_theta: 500_000, rope_type: 'llama3', factor: 8 }],
    ['Llama 3.2', { rope_theta: 500_000, rope_type: 'llama3', factor: 32 }],
    [
      'Llama 3 of other numbers',
      {
        rope_theta: 10_000,
        rope_type: 'llama3',
        factor: 4,
        low_freq_factor: 2,
        high_freq_factor: 5,
        original_max_position_embeddings: 2048,
      },
    ],
    [
      'Llama 3 with one blended frequency',
      { rope_theta: 1e9, rope_type: 'llama3', factor: 8, original_max_position_embeddings: 100 },
    ],
    [
      'Llama 3 with none',
      {
        rope_theta: 1e12,
        rope_type: 'llama3',
        factor: 8,
        high_freq_factor: 1.01,
        original_max_position_embeddings: 512,
      },
    ],
    [
      'LongRoPE',
      {
        rope_theta: 1e4,
        rope_type: 'longrope',
        short_factor: Array.from({ length: 32 }, (_, j) => 1 + j / 32),
        long_factor: Array.from({ length: 32 }, (_, j) => 1 + j),
        original_max_position_embeddings: 1024,
      },
    ],
    ['a base stretched by alpha', { rope_theta: 1e4, rope_type: 'dynamic', alpha: 1000 }],
    ['yarn', { rope_theta: 1e6, rope_type: 'yarn', factor: 4, original_max_position_embeddings: 2048 }],
    [
      'yarn with its own magnitude',
      { rope_theta: 1e6, rope_type: 'yarn', factor: 4, attention_factor: 0.75 },
    ],
    [
      'yarn as DeepSeek says it',
      { rope_theta: 1e4, rope_type: 'yarn', factor: 40, mscale: 0.75, mscale_all_dim: 1 },
    ],
  ])('%s comes back', (_, parameters) => {
    const wanted = rope(parameters, headDim, maxPositions)
    const got = through(parameters).rope
    expect(got.scale).toBeCloseTo(wanted.scale, 6)
    for (const [j, f] of wanted.inverseFrequencies.entries()) {
      expect(got.inverseFrequencies[j] / f).toBeCloseTo(1, 5)
    }
  })

  it('finds the parameters of Llama 3 in round numbers', () => {
    const given = {
      rope_type: 'llama3',
      factor: 4,
      low_freq_factor: 1,
      high_freq_factor: 3,
      original_max_position_embeddings: 4096,
    }
    expect(through({ rope_theta: 500_000, ...given }).scaling).toEqual(given)
  })

  it('loses what llama.cpp does not read, which shows when it is read back', () => {
    const parameters = { rope_theta: 1e6, rope_type: 'yarn', factor: 4, beta_fast: 16 }
    const wanted = rope(parameters, headDim, maxPositions).inverseFrequencies
    expect(through(parameters).rope.inverseFrequencies).not.toEqual(wanted)
  })

  it('refuses other types', () => {
    expect(() => ropeToGguf({ rope_theta: 1e4, rope_type: 'dynamic' }, headDim, maxPositions)).toThrow(
      'dynamic',
    )
  })
})

describe('rope scaling that other programs write', () => {
  const read = (metadata: Record<string, unknown>, factors?: number[]) =>
    ropeScalingFromGguf(
      key => metadata[key],
      factors ? { 'rope_freqs.weight': Float32Array.from(factors) } : {},
      factors ? 2 * factors.length : headDim,
    )

  it('is linear without a type', () => {
    expect(read({ 'rope.scaling.factor': 2 })).toEqual({ rope_type: 'linear', factor: 2 })
    expect(read({ 'rope.scale_linear': 2 })).toEqual({ rope_type: 'linear', factor: 2 })
    expect(read({})).toBeNull()
    expect(read({ 'rope.scaling.type': 'none', 'rope.scaling.factor': 2 })).toBeNull()
    expect(read({ 'rope.scaling.type': 'linear', 'rope.scaling.factor': 1 })).toBeNull()
    expect(read({}, [1, 1, 1, 1])).toBeNull()
  })

  it('multiplies YaRN’s own magnitude by attn_factor', () => {
    const yarn = { 'rope.scaling.type': 'yarn', 'rope.scaling.factor': 4 }
    expect(read(yarn)).toEqual({ rope_type: 'yarn', factor: 4 })
    const { attention_factor } = read({ ...yarn, 'rope.scaling.attn_factor': 0.5 }) as {
      attention_factor: number
    }
    expect(attention_factor).toBeCloseTo(0.5 * (0.1 * Math.log(4) + 1), 12)
    const given = {
      'rope.scaling.yarn_attn_factor': 1.5,
      'rope.scaling.yarn_beta_fast': 16,
      'rope.scaling.yarn_beta_slow': 2,
    }
    expect(read({ ...yarn, ...given })).toMatchObject({ attention_factor: 1.5, beta_fast: 16, beta_slow: 2 })
  })

  it.each([
    ['a magnitude without YaRN', { 'rope.scaling.attn_factor': 0.5 }, 'attn_factor 0.5'],
    [
      'YaRN in parts',
      { 'rope.scaling.type': 'yarn', 'rope.scaling.factor': 4, 'rope.scaling.yarn_ext_factor': 0.5 },
      'yarn_ext_factor 0.5',
    ],
  ])('refuses %s', (_, metadata, message) => expect(() => read(metadata)).toThrow(message))

  it('refuses quotients that are not those of Llama 3', () => {
    expect(() => read({}, [1, 5, 2, 8])).toThrow('rope_freqs.weight')
  })
})
