import { random } from '@reallm/tensor-io'
import { packTile, stepBits, trellisTiles, unpackTile } from '@reallm/tensor-io/layouts/trellis-tiles'
import { expect, it } from 'vitest'
import { withReference } from '../test/random-matrix.ts'
import { trellisTable } from './trellis-tables.ts'
import { viterbi } from './viterbi.ts'

const rng = random(3)
const values = Float32Array.from({ length: 4 * 256 }, () => rng.normal())

it.each([1.25, 1.5, 1.75, 2.25, 2.5, 2.75, 3.25, 3.5, 3.75, 4.25, 5.5])(
  '%f bits: cyclic, packed in %f bits, the reference’s',
  bits => {
    for (const stateBits of bits < 5 ? [8, 10] : [10]) {
      const lut = trellisTable(stateBits, bits)
      for (const weights of [undefined, values.map(v => Math.abs(v))]) {
        const options = { bits, lut, weights }
        const states = viterbi(values, options)
        expect(states).toEqual(withReference(() => viterbi(values, options)))
        states.forEach((state, i) => {
          const before = states[i % 256 === 0 ? i + 255 : i - 1]
          const k = stepBits(i % 256, bits)
          expect(state >> k).toBe(before & (2 ** (stateBits - k) - 1))
        })
        const tiles = trellisTiles(64, 16, bits)
        const words = new Uint32Array(tiles.words)
        expect(32 * words.length).toBe(1024 * bits)
        for (let i = 0; i < 4; i++) packTile(words, tiles, i, 0, states.subarray(256 * i, 256 * (i + 1)))
        const unpacked = [0, 1, 2, 3].flatMap(i => Array.from(unpackTile(words, tiles, i, 0, stateBits)))
        expect(unpacked).toEqual(Array.from(states))
      }
    }
  },
)

it('a fractional rate errs less than the mean of the whole rates around it', () => {
  const error = (bits: number) => {
    const lut = trellisTable(8, bits)
    return (
      viterbi(values, { bits, lut }).reduce((sum, s, i) => sum + (values[i] - lut[s]) ** 2, 0) / values.length
    )
  }
  expect(error(2.5)).toBeLessThan(0.9 * ((error(2) + error(3)) / 2))
})

it('refuses other fractions', () => {
  expect(() => trellisTiles(16, 16, 2.3)).toThrow(/in quarters/)
  expect(() =>
    viterbi(values.subarray(0, 4 * 50), { bits: 2.5, lut: trellisTable(8, 2), length: 50 }),
  ).toThrow(/no whole number of sequences/)
})
