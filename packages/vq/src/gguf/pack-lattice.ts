import type { LatticeBlock } from './lattice-block.ts'
import { putHalf } from './pack-small.ts'

/** Ors a whole number of up to 32 bits into bytes, the lowest first. */
function putWord(out: Uint8Array, at: number, bytes: number, word: number): void {
  for (let i = 0; i < bytes; i++) out[at + i] |= (word >>> (8 * i)) & 255
}

function putNibble(out: Uint8Array, at: number, i: number, value: number): void {
  out[at + (i >> 1)] |= value << (4 * (i & 1))
}

/** Of group `g`: four times seven signs and a scale. */
const signWord = ({ signs, scales }: LatticeBlock, g: number): number =>
  [0, 1, 2, 3].reduce((word, k) => word | ((signs[4 * g + k] & 127) << (7 * k)), scales[g] << 28)

export function packIq2Xxs(block: LatticeBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, block.step)
  for (let g = 0; g < 8; g++) {
    for (let k = 0; k < 4; k++) out[at + 2 + 8 * g + k] = block.points[4 * g + k]
    putWord(out, at + 6 + 8 * g, 4, signWord(block, g))
  }
}

export function packIq2Xs({ step, points, signs, scales }: LatticeBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let k = 0; k < 32; k++) putWord(out, at + 2 + 2 * k, 2, points[k] | ((signs[k] & 127) << 9))
  for (let g = 0; g < 16; g++) putNibble(out, at + 66, g, scales[g])
}

export function packIq2S({ step, points, signs, scales }: LatticeBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let k = 0; k < 32; k++) {
    out[at + 2 + k] = points[k]
    out[at + 34 + k] = signs[k]
    out[at + 66 + (k >> 2)] |= (points[k] >> 8) << (2 * (k & 3))
  }
  for (let g = 0; g < 16; g++) putNibble(out, at + 74, g, scales[g])
}

export function packIq3Xxs(block: LatticeBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, block.step)
  for (let k = 0; k < 64; k++) out[at + 2 + k] = block.points[k]
  for (let g = 0; g < 8; g++) putWord(out, at + 66 + 4 * g, 4, signWord(block, g))
}

export function packIq3S({ step, points, signs, scales }: LatticeBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let k = 0; k < 64; k++) {
    out[at + 2 + k] = points[k]
    out[at + 66 + (k >> 3)] |= (points[k] >> 8) << (k & 7)
  }
  for (let k = 0; k < 32; k++) out[at + 74 + k] = signs[k]
  for (let g = 0; g < 8; g++) putNibble(out, at + 106, g, scales[g])
}

export function packIq1S({ step, points, shifts, scales }: LatticeBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let k = 0; k < 32; k++) {
    out[at + 2 + k] = points[k]
    putWord(out, at + 34 + 2 * (k >> 2), 2, (points[k] >> 8) << (3 * (k & 3)))
  }
  for (let g = 0; g < 8; g++) putWord(out, at + 34 + 2 * g, 2, (scales[g] << 12) | (shifts[4 * g] << 15))
}

/** The block's half float lies in the highest four bits of the four words of scales. */
export function packIq1M({ step, points, shifts, scales }: LatticeBlock, out: Uint8Array, at: number): void {
  for (let k = 0; k < 32; k++) {
    out[at + k] = points[k]
    putNibble(out, at + 32, k, (points[k] >> 8) | (shifts[k] << 3))
  }
  for (let g = 0; g < 16; g++) putWord(out, at + 48 + 2 * (g >> 2), 2, scales[g] << (3 * (g & 3)))
  for (let i = 0; i < 4; i++) out[at + 49 + 2 * i] |= ((step >> (4 * i)) & 15) << 4
}
