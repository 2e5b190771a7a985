import { expect, test } from 'vitest'
import { random } from '../../core/random.ts'
import { packTile, tileAt, trellisTiles, unpackTile } from './trellis-tiles.ts'

/** States of random cyclic streams, one per tile. */
function randomStates(tiles: number, bits: number, stateBits: number): Uint16Array {
  const { integer } = random(tiles)
  const states = new Uint16Array(256 * tiles)
  for (let from = 0; from < states.length; from += 256) {
    const codes = Array.from({ length: 256 }, () => integer(2 ** bits))
    for (let t = 0; t < 256; t++) {
      let state = 0
      for (let back = Math.ceil(stateBits / bits) - 1; back >= 0; back--) {
        state = state * 2 ** bits + codes[(t - back + 256) % 256]
      }
      states[from + t] = state % 2 ** stateBits
    }
  }
  return states
}

test.each([
  [16, 16, 2, 12],
  [64, 32, 1, 16],
  [70, 50, 3, 10],
  [33, 100, 4, 8],
  [200, 1, 2, 9],
])('[%i, %i] at %i bits, L = %i: states survive', (rows, cols, bits, stateBits) => {
  const tiles = trellisTiles(rows, cols, bits)
  const states = randomStates(tiles.tileRows * tiles.tileCols, bits, stateBits)
  const words = new Uint32Array(tiles.words)
  expect(words.byteLength).toBe(32 * bits * tiles.tileRows * tiles.tileCols)
  const places = Array.from({ length: tiles.tileRows * tiles.tileCols }, (_, i) => {
    return [Math.floor(i / tiles.tileCols), i % tiles.tileCols] as const
  })
  for (const [i, [r, c]] of places.entries())
    packTile(words, tiles, r, c, states.subarray(i * 256, (i + 1) * 256))
  for (const [i, [r, c]] of places.entries())
    expect(unpackTile(words, tiles, r, c, stateBits)).toEqual(states.slice(i * 256, (i + 1) * 256))
})

test('every word belongs to one tile; lanes of four tiles are neighbours', () => {
  const tiles = trellisTiles(112, 48, 2)
  const owners = new Set<number>()
  for (let r = 0; r < 7; r++) {
    for (let c = 0; c < 3; c++) {
      const { first, stride } = tileAt(tiles, r, c)
      expect(stride).toBe(r < 4 ? 4 : 3)
      for (let w = 0; w < tiles.tileWords; w++) owners.add(first + w * stride)
    }
  }
  expect(owners.size).toBe(tiles.words)
  expect(Math.max(...owners)).toBe(tiles.words - 1)
  expect(tileAt(tiles, 1, 0).first).toBe(1)
})

test('first weight is in the highest bits of the first word', () => {
  const states = new Uint16Array(256)
  states[0] = 0b10
  states[1] = 0b1000
  states[2] = 0b100000
  const tiles = trellisTiles(16, 16, 2)
  const words = new Uint32Array(tiles.words)
  packTile(
    words,
    tiles,
    0,
    0,
    states.map(s => s & 0xff),
  )
  expect(words[0] >>> 30).toBe(0b10)
  expect(unpackTile(words, tiles, 0, 0, 8)[1]).toBe(0b1000)
})

test('rates that do not fit are refused', () => {
  expect(() => trellisTiles(16, 16, 2.4)).toThrow('1 to 6 bits per weight in quarters')
})
