import { describe, expect, it } from 'vitest'
import { rope, rotations } from './rope.ts'

const width = 64
const rope_theta = 500_000
const plain = rope({ rope_theta }, width, 8192).inverseFrequencies
const quotients = (parameters: object) => {
  const { inverseFrequencies } = rope({ rope_theta, ...parameters }, width, 8192)
  return inverseFrequencies.map((f, j) => f / plain[j])
}

describe('rope', () => {
  it('turns pair j by θ^(−2j/d)', () => {
    expect(plain).toHaveLength(32)
    expect(plain[0]).toBe(1)
    expect(plain[16]).toBeCloseTo(500_000 ** -0.5, 12)
  })

  it('linear: divides all alike', () => {
    for (const q of quotients({ rope_type: 'linear', factor: 4 })) expect(q).toBeCloseTo(0.25, 12)
  })

  it('llama3: keeps turns of over high_freq_factor, stretches those of under low_freq_factor', () => {
    const original = 8192
    const got = quotients({ rope_type: 'llama3', factor: 8, original_max_position_embeddings: original })
    for (const [j, q] of got.entries()) {
      const turns = (original * plain[j]) / (2 * Math.PI)
      if (turns >= 4) expect(q).toBeCloseTo(1, 12)
      else if (turns <= 1) expect(q).toBeCloseTo(1 / 8, 12)
      else expect(q).toBeCloseTo((1 - (turns - 1) / 3) / 8 + (turns - 1) / 3, 12)
    }
    expect(got.filter(q => q > 0.126 && q < 0.999).length).toBeGreaterThan(1)
  })

  it('yarn: keeps pairs of over beta_fast turns, stretches those of under beta_slow, scales attention', () => {
    const original = 4096
    const parameters = { rope_type: 'yarn', factor: 8, original_max_position_embeddings: original }
    const got = quotients(parameters)
    for (const [j, q] of got.entries()) {
      const turns = (original * plain[j]) / (2 * Math.PI)
      if (turns > 40) expect(q).toBeCloseTo(1, 12)
      if (turns < 0.5) expect(q).toBeCloseTo(1 / 8, 12)
      if (j > 0) expect(q).toBeLessThanOrEqual(got[j - 1] + 1e-12)
    }
    expect(rope({ rope_theta, ...parameters }, width, 8192).scale).toBeCloseTo(0.1 * Math.log(8) + 1, 12)
    const given = rope({ rope_theta, ...parameters, attention_factor: 0.7 }, width, 8192)
    expect(given.scale).toBe(0.7)
    const deepseek = rope({ rope_theta, ...parameters, mscale: 1, mscale_all_dim: 1 }, width, 8192)
    expect(deepseek.scale).toBe(1)
  })

  it('refuses other types and a missing factor', () => {
    expect(() => rope({ rope_theta, rope_type: 'dynamic' }, width, 8192)).toThrow('dynamic')
    expect(() => rope({ rope_theta, rope_type: 'linear' }, width, 8192)).toThrow('positive factor')
  })

  it('longrope: divides by other factors in texts longer than those first trained on', () => {
    const [short_factor, long_factor] = [1.5, 4].map(d => new Array<number>(32).fill(d))
    const original = 4096
    const parameters = { rope_type: 'longrope', short_factor, long_factor }
    const given = { rope_theta, ...parameters, original_max_position_embeddings: original }
    const made = rope(given, width, 131_072)
    expect(made.inverseFrequencies[3] / plain[3]).toBeCloseTo(1 / 1.5, 12)
    expect(made.long).toMatchObject({ beyond: original })
    expect(made.scale).toBeCloseTo(Math.sqrt(1 + Math.log(32) / Math.log(original)), 12)
    const sine = (length: number) => {
      const [cos, sin] = [new Float32Array(32), new Float32Array(32)]
      rotations(made, { first: 10, count: 1, length, queries: false }, cos, sin)
      return sin[3] / made.scale
    }
    expect(sine(original)).toBeCloseTo(Math.sin((10 * plain[3]) / 1.5), 6)
    expect(sine(original + 1)).toBeCloseTo(Math.sin((10 * plain[3]) / 4), 6)
    expect(() => rope({ ...given, long_factor: [1, 2] }, width, 131_072)).toThrow('long_factor')
  })

  it('stretches the base once and for all by alpha', () => {
    const [, second] = rope({ rope_theta, rope_type: 'dynamic', alpha: 1000 }, width, 8192).inverseFrequencies
    expect(second).toBeCloseTo((rope_theta * 1000 ** (width / (width - 2))) ** (-2 / width), 12)
  })

  it('lets queries far into a text count more', () => {
    const made = rope(
      { rope_theta, llama_4_scaling_beta: 0.1, original_max_position_embeddings: 16 },
      width,
      256,
    )
    const cosine = (queries: boolean) => {
      const [cos, sin] = [new Float32Array(32 * 2), new Float32Array(32 * 2)]
      rotations(made, { first: 15, count: 2, length: 17, queries }, cos, sin)
      return [cos[0] / Math.cos(15), cos[32] / Math.cos(16)]
    }
    expect(cosine(false)).toEqual([expect.closeTo(1, 6), expect.closeTo(1, 6)])
    expect(cosine(true)).toEqual([expect.closeTo(1, 6), expect.closeTo(1 + 0.1 * Math.LN2, 6)])
  })
})
