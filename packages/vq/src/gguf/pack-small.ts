import type { ScalarBlock } from './scalar-block.ts'

/** Writes a half float, given as its bits. */
export function putHalf(out: Uint8Array, at: number, half: number): void {
  out[at] = half
  out[at + 1] = half >> 8
}

/** 16 bytes: the low halves hold the lowest four bits of the first 16 of 32 codes, the high halves those of the others. */
function putNibbles(codes: Uint8Array, from: number, out: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++) out[at + i] = (codes[from + i] & 15) | ((codes[from + 16 + i] & 15) << 4)
}

/** Four bytes: bit `i` is the fifth bit of code `i`. */
function putFifths(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let i = 0; i < 32; i++) out[at + (i >> 3)] |= (codes[i] >> 4) << (i & 7)
}

export function packQ1_0({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let i = 0; i < 128; i++) out[at + 2 + (i >> 3)] |= codes[i] << (i & 7)
}

export function packQ2_0({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let i = 0; i < 64; i++) out[at + 2 + (i >> 2)] |= codes[i] << (2 * (i & 3))
}

export function packQ4_0({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  putNibbles(codes, 0, out, at + 2)
}

export function packQ4_1({ codes, step, shift }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  putHalf(out, at + 2, shift)
  putNibbles(codes, 0, out, at + 4)
}

export function packQ5_0({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  putFifths(codes, out, at + 2)
  putNibbles(codes, 0, out, at + 6)
}

export function packQ5_1({ codes, step, shift }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  putHalf(out, at + 2, shift)
  putFifths(codes, out, at + 4)
  putNibbles(codes, 0, out, at + 8)
}

export function packQ8_0({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let i = 0; i < 32; i++) out[at + 2 + i] = codes[i] - 127
}

/** Codes of −6 … 6 in steps of E2M1 as its bits: the sign is the highest. */
const e2m1 = [15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7]

/** `step` is the exponent of the step, biased by 128. */
export function packMxfp4({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  out[at] = step
  putNibbles(
    codes.map(code => e2m1[code]),
    0,
    out,
    at + 1,
  )
}

export function packIq4Xs({ codes, step, scales }: ScalarBlock, out: Uint8Array, at: number): void {
  putHalf(out, at, step)
  for (let g = 0; g < 8; g++) {
    const scale = scales[g] + 32
    out[at + 2 + (g >> 2)] |= (scale >> 4) << (2 * (g & 3))
    out[at + 4 + (g >> 1)] |= (scale & 15) << (4 * (g & 1))
    putNibbles(codes, 32 * g, out, at + 8 + 16 * g)
  }
}

/** Ternary, five weights in a byte: their number in base 3 over 243, rounded up to a 256th. */
export function packTq1_0({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  let next = 0
  const put = (bytes: number, to: number, trits: number) => {
    for (let i = 0; i < bytes; i++) {
      let number = 0
      for (let t = 0; t < 5; t++) number = 3 * number + (t < trits ? codes[next + t * bytes + i] : 0)
      out[at + to + i] = Math.ceil((number * 256) / 243)
    }
    next += trits * bytes
  }
  put(32, 0, 5)
  put(16, 32, 5)
  put(4, 48, 4)
  putHalf(out, at + 52, step)
}

export function packTq2_0({ codes, step }: ScalarBlock, out: Uint8Array, at: number): void {
  putCrumbs(codes, out, at)
  putHalf(out, at + 64, step)
}

/** 64 bytes: the lowest two bits of 256 codes, four planes of 32 in each half. */
export function putCrumbs(codes: Uint8Array, out: Uint8Array, at: number): void {
  for (let j = 0; j < 256; j++) {
    out[at + ((j >> 7) << 5) + (j & 31)] |= (codes[j] & 3) << (2 * ((j >> 5) & 3))
  }
}
