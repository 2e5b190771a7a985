import { iq1Grid, iq2sGrid, iq2xsGrid, iq2xxsGrid, iq3sGrid, iq3xxsGrid } from './grids.ts'
import { type DecodeBlock, half } from './half.ts'
import { word } from './small-blocks.ts'

/** Writes `scale` times a point of a grid, negated where `signs` has a bit. */
function put(
  out: Float32Array,
  o: number,
  scale: number,
  grid: Float32Array,
  point: number,
  width: number,
  signs: number,
): void {
  for (let i = 0; i < width; i++) {
    const value = scale * grid[point * width + i]
    out[o + i] = (signs >> i) & 1 ? -value : value
  }
}

/** Seven sign bits and an eighth that makes their number even. */
function evenSigns(seven: number): number {
  let ones = seven ^ (seven >> 4)
  ones ^= ones >> 2
  ones ^= ones >> 1
  return seven | ((ones & 1) << 7)
}

/** 8 groups of 32: four points of 8, then one word with four times seven signs and a 4-bit scale. */
export const iq2_xxs: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const grid = iq2xxsGrid()
  for (let g = 0; g < 8; g++) {
    const from = at + 2 + 8 * g
    const rest = word(b, from + 4)
    const scale = d * (0.5 + (rest >>> 28)) * 0.25
    for (let k = 0; k < 4; k++) {
      const signs = evenSigns((rest >>> (7 * k)) & 127)
      put(out, o + 32 * g + 8 * k, scale, grid, b[from + k], 8, signs)
    }
  }
}

/** 32 points of 8 on 9 bits with seven signs each; 16 scales of 4 bits. */
export const iq2_xs: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const grid = iq2xsGrid()
  for (let k = 0; k < 32; k++) {
    const q = b[at + 2 + 2 * k] | (b[at + 3 + 2 * k] << 8)
    const scale = d * (0.5 + nibble(b, at + 66, k >> 1)) * 0.25
    put(out, o + 8 * k, scale, grid, q & 511, 8, evenSigns(q >> 9))
  }
}

/** 32 points of 8 on 10 bits, two of them apart; eight signs each; 16 scales of 4 bits. */
export const iq2_s: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const grid = iq2sGrid()
  for (let k = 0; k < 32; k++) {
    const high = (b[at + 66 + (k >> 2)] >> (2 * (k & 3))) & 3
    const scale = d * (0.5 + nibble(b, at + 74, k >> 1)) * 0.25
    put(out, o + 8 * k, scale, grid, b[at + 2 + k] | (high << 8), 8, b[at + 34 + k])
  }
}

/** 64 points of 4, then 8 words with four times seven signs and a 4-bit scale. */
export const iq3_xxs: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const grid = iq3xxsGrid()
  for (let g = 0; g < 8; g++) {
    const rest = word(b, at + 66 + 4 * g)
    const scale = d * (0.5 + (rest >>> 28)) * 0.5
    for (let k = 0; k < 8; k++) {
      const signs = evenSigns((rest >>> (7 * (k >> 1))) & 127) >> (4 * (k & 1))
      put(out, o + 32 * g + 4 * k, scale, grid, b[at + 2 + 8 * g + k], 4, signs)
    }
  }
}

/** 64 points of 4 on 9 bits, one of them apart; signs; 8 scales of 4 bits. */
export const iq3_s: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const grid = iq3sGrid()
  for (let k = 0; k < 64; k++) {
    const high = (b[at + 66 + (k >> 3)] >> (k & 7)) & 1
    const signs = b[at + 74 + (k >> 1)] >> (4 * (k & 1))
    const scale = d * (1 + 2 * nibble(b, at + 106, k >> 3))
    put(out, o + 4 * k, scale, grid, b[at + 2 + k] | (high << 8), 4, signs)
  }
}

/** 32 points of 8 on 11 bits; per group of 32 a word with their high bits, a 3-bit scale and the sign of a shift. */
export const iq1_s: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const grid = iq1Grid()
  for (let k = 0; k < 32; k++) {
    const g = k >> 2
    const rest = b[at + 34 + 2 * g] | (b[at + 35 + 2 * g] << 8)
    const point = b[at + 2 + k] | (((rest >> (3 * (k & 3))) & 7) << 8)
    const scale = d * (2 * ((rest >> 12) & 7) + 1)
    const shift = rest & 0x8000 ? -0.125 : 0.125
    for (let i = 0; i < 8; i++) out[o + 8 * k + i] = scale * (grid[8 * point + i] + shift)
  }
}

/** As IQ1_S with a scale for every 16 and a shift for every 8 weights; the half float is spread over four words. */
export const iq1_m: DecodeBlock = (b, at, out, o) => {
  const grid = iq1Grid()
  const scales = at + 48
  const spread = [1, 3, 5, 7].map(i => b[scales + i] >> 4)
  const d = half(Uint8Array.of(spread[0] | (spread[1] << 4), spread[2] | (spread[3] << 4)), 0)
  for (let k = 0; k < 32; k++) {
    const rest = nibble(b, at + 32, k)
    const point = b[at + k] | ((rest & 7) << 8)
    const pair = k >> 1
    const packed = b[scales + 2 * (pair >> 2)] | (b[scales + 1 + 2 * (pair >> 2)] << 8)
    const scale = d * (2 * ((packed >> (3 * (pair & 3))) & 7) + 1)
    const shift = rest & 8 ? -0.125 : 0.125
    for (let i = 0; i < 8; i++) out[o + 8 * k + i] = scale * (grid[8 * point + i] + shift)
  }
}

const nibble = (b: Uint8Array, at: number, i: number): number => (b[at + (i >> 1)] >> (4 * (i & 1))) & 15
