import { expect, test } from 'vitest'
import { randomMatrix, withReference } from '../test/random-matrix.ts'
import { trellisTable } from './trellis-tables.ts'
import { viterbi } from './viterbi.ts'

const values = randomMatrix(6, 256).data

test.each([
  [1, 8],
  [2, 8],
  [3, 8],
  [4, 8],
  [1, 10],
  [2, 11],
  [3, 10],
  [4, 10],
  [5, 8],
  [5, 10],
  [6, 10],
])('k = %i, L = %i: a cyclic path, the reference’s', (bits, stateBits) => {
  const lut = trellisTable(stateBits, bits)
  const importance = values.map((_, i) => (i % 7 === 0 ? 0 : 1 + (i % 5)))
  const overlap = 2 ** (stateBits - bits) - 1
  for (const weights of [undefined, importance]) {
    const options = { bits, lut, weights }
    const states = viterbi(values, options)
    expect(states).toEqual(withReference(() => viterbi(values, options)))
    states.forEach((state, i) => {
      const before = states[i % 256 === 0 ? i + 255 : i - 1]
      expect(state >> bits).toBe(before & overlap)
    })
    const open = viterbi(values, { ...options, tailBiting: false })
    expect(open).toEqual(withReference(() => viterbi(values, { ...options, tailBiting: false })))
    expect(error(open, lut, weights)).toBeLessThan(1.01 * error(states, lut, weights))
  }
})

test.each([
  [2, 10, 0.0735],
  [3, 10, 0.0196],
  [4, 8, 0.0061],
])('k = %i, L = %i: the error on normal values is under %f', (bits, stateBits, ceiling) => {
  const many = randomMatrix(100, 256, 3).data
  const lut = trellisTable(stateBits, bits)
  expect(error(viterbi(many, { bits, lut }), lut, undefined, many) / many.length).toBeLessThan(ceiling)
})

test('no open path is nearer, by brute force', () => {
  const lut = trellisTable(8, 4)
  const x = values.slice(40, 44)
  let least = Number.POSITIVE_INFINITY
  for (let stream = 0; stream < 2 ** 20; stream++) {
    let sum = 0
    for (let t = 0; t < 4; t++) sum += (lut[(stream >>> (12 - 4 * t)) & 255] - x[t]) ** 2
    least = Math.min(least, sum)
  }
  const states = viterbi(x, { bits: 4, lut, length: 4, tailBiting: false })
  expect(error(states, lut, undefined, x)).toBeCloseTo(least, 3)
})

test('outliers far beyond the table, zero weights and constant values still give cyclic paths', () => {
  const lut = trellisTable(12, 2)
  const cases = [
    values.map((v, i) => (i % 50 === 0 ? 1000 * v : v)),
    new Float32Array(256).fill(1e30),
    new Float32Array(256).fill(-3.4),
    Float32Array.from({ length: 256 }, (_, i) => (i % 2 ? 4 : -4)),
  ]
  for (const x of cases) {
    for (const bits of [1, 2, 4, 6]) {
      const options = { bits, lut, weights: new Float32Array(x.length).fill(0, 0, 9).fill(1, 9) }
      const states = viterbi(x, options)
      const overlap = 2 ** (12 - bits) - 1
      states.forEach((state, i) => {
        expect(state >> bits).toBe(states[i % 256 === 0 ? i + 255 : i - 1] & overlap)
      })
      if (bits === 4) expect(states).toEqual(withReference(() => viterbi(x, options)))
    }
  }
})

test('above 4 bits no value is left for another one that is as dear to the search', () => {
  const lut = trellisTable(10, 4)
  const most = Math.max(...lut)
  const x = randomMatrix(64, 256).data.map(v => 1.15 * v)
  const states = viterbi(x, { bits: 4.25, lut })
  const within = x.map(v => Math.max(-most, Math.min(most, v)))
  expect(Math.max(...within.map((v, i) => Math.abs(v - lut[states[i]])))).toBeLessThan(0.8)
  const weights = new Float32Array(1024).fill(1).fill(0, 0, 16)
  const some = { bits: 4.25, lut, weights }
  expect(viterbi(x.subarray(0, 1024), some)).toEqual(withReference(() => viterbi(x.subarray(0, 1024), some)))
})

test('what cannot be encoded is refused', () => {
  const lut = trellisTable(8, 2)
  expect(() => viterbi(values, { bits: 7, lut })).toThrow('1 to 6 bits per weight in quarters')
  expect(() => viterbi(values, { bits: 6, lut })).toThrow('8 state bits are too few for 6 bits')
  expect(() => viterbi(values, { bits: 2, lut: new Float32Array(100) })).toThrow('2^L values')
  expect(() => viterbi(values.subarray(1), { bits: 2, lut })).toThrow('no whole number of sequences')
  expect(() => viterbi(new Float32Array(256).fill(Number.NaN), { bits: 2, lut })).toThrow('NaN')
})

function error(states: Uint16Array, lut: Float32Array, weights?: Float32Array, x = values): number {
  return states.reduce((sum, s, i) => sum + (weights?.[i] ?? 1) * (lut[s] - x[i]) ** 2, 0)
}
