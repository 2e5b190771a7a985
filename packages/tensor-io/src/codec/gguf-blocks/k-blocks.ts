import { type DecodeBlock, half, signed } from './half.ts'

/** Weight `j` of 256 in two-bit fields: four planes of 32 in each run of 32 bytes. */
const crumb = (b: Uint8Array, at: number, j: number): number =>
  (b[at + ((j >> 7) << 5) + (j & 31)] >> (2 * ((j >> 5) & 3))) & 3

/** 16 groups of 16, 4-bit scale and minimum each. */
export const q2_K: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at + 80)
  const dmin = half(b, at + 82)
  for (let g = 0; g < 16; g++) {
    const scale = d * (b[at + g] & 15)
    const min = dmin * (b[at + g] >> 4)
    for (let j = 16 * g; j < 16 * g + 16; j++) out[o + j] = scale * crumb(b, at + 16, j) - min
  }
}

/** 16 groups of 16 with 6-bit scales; the third bits of the weights come first and are stored inverted. */
export const q3_K: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at + 108)
  for (let g = 0; g < 16; g++) {
    const low = (b[at + 96 + (g & 7)] >> (4 * (g >> 3))) & 15
    const high = (b[at + 104 + (g & 3)] >> (2 * (g >> 2))) & 3
    const scale = d * ((low | (high << 4)) - 32)
    for (let j = 16 * g; j < 16 * g + 16; j++) {
      const third = (b[at + (j & 31)] >> (j >> 5)) & 1
      out[o + j] = scale * (crumb(b, at + 32, j) - (third ? 0 : 4))
    }
  }
}

/** 6-bit scale of group `g` of 8 from the 12 bytes of Q4_K and Q5_K; `from` 0: scales, 4: minima. */
function scaleOf(b: Uint8Array, at: number, g: number, from: 0 | 4): number {
  if (g < 4) return b[at + from + g] & 63
  const low = b[at + 4 + g]
  return (from === 0 ? low & 15 : low >> 4) | ((b[at + from + g - 4] >> 6) << 4)
}

/** 8 groups of 32, 6-bit scale and minimum each. */
export const q4_K: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const dmin = half(b, at + 2)
  for (let g = 0; g < 8; g++) {
    const scale = d * scaleOf(b, at + 4, g, 0)
    const min = dmin * scaleOf(b, at + 4, g, 4)
    const from = at + 16 + 32 * (g >> 1)
    const shift = 4 * (g & 1)
    for (let i = 0; i < 32; i++) out[o + 32 * g + i] = scale * ((b[from + i] >> shift) & 15) - min
  }
}

/** As Q4_K, with the fifth bits of the weights before the others. */
export const q5_K: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at)
  const dmin = half(b, at + 2)
  for (let g = 0; g < 8; g++) {
    const scale = d * scaleOf(b, at + 4, g, 0)
    const min = dmin * scaleOf(b, at + 4, g, 4)
    const from = at + 48 + 32 * (g >> 1)
    const shift = 4 * (g & 1)
    for (let i = 0; i < 32; i++) {
      const fifth = (b[at + 16 + i] >> g) & 1
      out[o + 32 * g + i] = scale * (((b[from + i] >> shift) & 15) | (fifth << 4)) - min
    }
  }
}

/** 16 groups of 16, 8-bit scales; four bits of each weight first, then two. */
export const q6_K: DecodeBlock = (b, at, out, o) => {
  const d = half(b, at + 208)
  for (let g = 0; g < 16; g++) {
    const scale = d * signed(b[at + 192 + g])
    for (let j = 16 * g; j < 16 * g + 16; j++) {
      const low = (b[at + ((j >> 7) << 6) + (j & 63)] >> (4 * ((j >> 6) & 1))) & 15
      out[o + j] = scale * ((low | (crumb(b, at + 128, j) << 4)) - 32)
    }
  }
}
