import { putCrumbs, putHalf } from './pack-small.ts'
import type { ScalarBlock } from './scalar-block.ts'

export function packQ2K(
  { codes, step, shift, scales, mins }: ScalarBlock,
  out: Uint8Array,
  at: number,
): void {
  for (let g = 0; g < 16; g++) out[at + g] = scales[g] | (mins[g] << 4)
  putCrumbs(codes, out, at + 16)
  putHalf(out, at + 80, step)
  putHalf(out, at + 82, shift)
}

export function packQ3K({ codes, step, scales }: ScalarBlock, out: Uint8Array, at: number): void {
  for (let j = 0; j < 256; j++) out[at + (j & 31)] |= (codes[j] >> 2) << (j >> 5)
  putCrumbs(codes, out, at + 32)
  for (let g = 0; g < 16; g++) {
    const scale = scales[g] + 32
    out[at + 96 + (g & 7)] |= (scale & 15) << (4 * (g >> 3))
    out[at + 104 + (g & 3)] |= (scale >> 4) << (2 * (g >> 2))
  }
  putHalf(out, at + 108, step)
}

export function packQ4K(block: ScalarBlock, out: Uint8Array, at: number): void {
  putScales(block, out, at)
  putHalves(block.codes, out, at + 16)
}

export function packQ5K(block: ScalarBlock, out: Uint8Array, at: number): void {
  putScales(block, out, at)
  for (let j = 0; j < 256; j++) out[at + 16 + (j & 31)] |= (block.codes[j] >> 4) << (j >> 5)
  putHalves(block.codes, out, at + 48)
}

/** Half floats, then the 6-bit scales and minima of eight groups in 12 bytes. */
function putScales({ step, shift, scales, mins }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  putHalf(out, at + 2, shift)
  for (let g = 0; g < 4; g++) {
    out[at + 4 + g] = scales[g] | ((scales[g + 4] >> 4) << 6)
    out[at + 8 + g] = mins[g] | ((mins[g + 4] >> 4) << 6)
    out[at + 12 + g] = (scales[g + 4] & 15) | ((mins[g + 4] & 15) << 4)
  }
}

/** 128 bytes: groups of 32 alternate between low and high halves. */
function putHalves(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let j = 0; j < 256; j++) out[at + 32 * (j >> 6) + (j & 31)] |= (codes[j] & 15) << (4 * ((j >> 5) & 1))
}

export function packQ6K({ codes, step, scales }: ScalarBlock, out: Uint8Array, at: number): void {
  for (let j = 0; j < 256; j++) {
    out[at + ((j >> 7) << 6) + (j & 63)] |= (codes[j] & 15) << (4 * ((j >> 6) & 1))
  }
  putCrumbs(
    codes.map(code => code >> 4),
    out,
    at + 128,
  )
  for (let g = 0; g < 16; g++) out[at + 192 + g] = scales[g]
  putHalf(out, at + 208, step)
}
