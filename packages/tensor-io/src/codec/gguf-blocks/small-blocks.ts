import { type DecodeBlock, half, signed } from './half.ts'

/** 128 weights of one bit: the scale, or minus the scale. */
export const q1_0: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  for (let i = 0; i < 128; i++) out[o + i] = (b[at + 2 + (i >> 3)] >> (i & 7)) & 1 ? d : -d
}

/** 64 weights of two bits: -1, 0, 1 or 2 scales. */
export const q2_0: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  for (let i = 0; i < 64; i++) out[o + i] = d * (((b[at + 2 + (i >> 2)] >> (2 * (i & 3))) & 3) - 1)
}

/** 32 weights: 4 bits each, the first 16 in the low halves; times the scale, less eight scales. */
export const q4_0: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  for (let i = 0; i < 16; i++) {
    const q = b[at + 2 + i]
    out[o + i] = d * ((q & 15) - 8)
    out[o + 16 + i] = d * ((q >> 4) - 8)
  }
}

/** As Q4_0, with a minimum in place of the fixed offset. */
export const q4_1: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const m = half(b, at + 2)
  for (let i = 0; i < 16; i++) {
    const q = b[at + 4 + i]
    out[o + i] = d * (q & 15) + m
    out[o + 16 + i] = d * (q >> 4) + m
  }
}

/** 5 bits: the fifth bits of all 32 weights come first, in one word. */
export const q5_0: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const high = word(b, at + 2)
  for (let i = 0; i < 16; i++) {
    const q = b[at + 6 + i]
    out[o + i] = d * (((q & 15) | (((high >>> i) & 1) << 4)) - 16)
    out[o + 16 + i] = d * (((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16)
  }
}

export const q5_1: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const m = half(b, at + 2)
  const high = word(b, at + 4)
  for (let i = 0; i < 16; i++) {
    const q = b[at + 8 + i]
    out[o + i] = d * ((q & 15) | (((high >>> i) & 1) << 4)) + m
    out[o + 16 + i] = d * ((q >> 4) | (((high >>> (i + 16)) & 1) << 4)) + m
  }
}

export const q8_0: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  for (let i = 0; i < 32; i++) out[o + i] = d * signed(b[at + 2 + i])
}

/** Ternary, five weights in a byte: the fractions of byte/256 times 3, 9, 27 … carry one each. */
export const tq1_0: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at + 52)
  let to = o
  const group = (from: number, bytes: number, trits: number) => {
    for (let t = 0, power = 1; t < trits; t++, power *= 3) {
      for (let i = 0; i < bytes; i++) out[to++] = d * (((((b[from + i] * power) & 255) * 3) >> 8) - 1)
    }
  }
  group(at, 32, 5)
  group(at + 32, 16, 5)
  group(at + 48, 4, 4)
}

/** Ternary, two bits each. */
export const tq2_0: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at + 64)
  for (let j = 0; j < 256; j++) {
    const q = b[at + (j >> 7) * 32 + (j & 31)]
    out[o + j] = d * (((q >> (2 * ((j >> 5) & 3))) & 3) - 1)
  }
}

/** The values of a 4-bit float (E2M1), doubled. */
const e2m1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

/** OCP microscaling: 32 E2M1 floats under a power of two. */
export const mxfp4: DecodeBlock = (b, at, out, o) => {
  const d = 2 ** (b[at] - 128)
  for (let i = 0; i < 16; i++) {
    const q = b[at + 1 + i]
    out[o + i] = d * e2m1[q & 15]
    out[o + 16 + i] = d * e2m1[q >> 4]
  }
}

/** Four groups of 16 E2M1 floats, each under an unsigned E4M3 scale. */
export const nvfp4: DecodeBlock = (b, at, out, o) => {
  for (let g = 0; g < 4; g++) {
    const scale = b[at + g]
    const exponent = (scale >> 3) & 15
    const fraction = (scale & 7) / 8
    const value = exponent === 0 ? fraction * 2 ** -6 : (1 + fraction) * 2 ** (exponent - 7)
    const d = scale === 0x7f ? 0 : value / 2
    for (let i = 0; i < 8; i++) {
      const q = b[at + 4 + 8 * g + i]
      out[o + 16 * g + i] = d * e2m1[q & 15]
      out[o + 16 * g + 8 + i] = d * e2m1[q >> 4]
    }
  }
}

/** The levels of the non-linear 4-bit types. */
const nonLinear = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

export const iq4_nl: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  for (let i = 0; i < 16; i++) {
    const q = b[at + 2 + i]
    out[o + i] = d * nonLinear[q & 15]
    out[o + 16 + i] = d * nonLinear[q >> 4]
  }
}

/** Eight groups of 32, 6-bit scales: two bits of each in one word, four in the bytes after it. */
export const iq4_xs: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const highs = b[at + 2] | (b[at + 3] << 8)
  for (let g = 0; g < 8; g++) {
    const low = (b[at + 4 + (g >> 1)] >> (4 * (g & 1))) & 15
    const scale = d * ((low | (((highs >> (2 * g)) & 3) << 4)) - 32)
    for (let i = 0; i < 16; i++) {
      const q = b[at + 8 + 16 * g + i]
      out[o + 32 * g + i] = scale * nonLinear[q & 15]
      out[o + 32 * g + 16 + i] = scale * nonLinear[q >> 4]
    }
  }
}

/** 32 bits, lowest byte first. */
export const word = (b: Uint8Array, at: number): number =>
  b[at] | (b[at + 1] << 8) | (b[at + 2] << 16) | (b[at + 3] << 24)
