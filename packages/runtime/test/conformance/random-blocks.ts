import { type EncodedMatrix, random } from '@reallm/tensor-io'
import { ggufBlockType, ggufLayout } from '@reallm/tensor-io/layouts/gguf'

/** Where blocks of GGUF's types have half floats: scales, then minima. */
const halves: Readonly<Record<string, readonly number[]>> = {
  ...{ Q4_0: [0], Q4_1: [0, 2], Q5_0: [0], Q5_1: [0, 2], Q8_0: [0], Q1_0: [0], Q2_0: [0] },
  ...{ Q2_K: [80, 82], Q3_K: [108], Q4_K: [0, 2], Q5_K: [0, 2], Q6_K: [208] },
  ...{
    IQ2_XXS: [0],
    IQ2_XS: [0],
    IQ2_S: [0],
    IQ3_XXS: [0],
    IQ3_S: [0],
    IQ1_S: [0],
    IQ4_NL: [0],
    IQ4_XS: [0],
  },
  ...{ TQ1_0: [52], TQ2_0: [64], MXFP4: [], NVFP4: [], IQ1_M: [] },
}

/** Types of GGUF's blocks. */
export const typesOfBlocks = Object.keys(halves)

/** A matrix in GGUF's blocks of random bytes, all of whose scales are about as large. */
export function randomBlocks(type: string): EncodedMatrix {
  const { block, bytes } = ggufBlockType(type)
  const draw = random(9)
  const [rows, cols] = [48, block <= 32 ? 96 : 256]
  const data = Uint8Array.from({ length: ((rows * cols) / block) * bytes }, () => draw.integer(256))
  for (let at = 0; at < data.length; at += bytes) {
    // 2^-7 to 2^-6
    for (const half of halves[type]) data[at + half + 1] = 0x20 | (data[at + half + 1] & 3)
    if (type === 'MXFP4') data[at] = 120 + draw.integer(3)
    if (type === 'NVFP4') for (let g = 0; g < 4; g++) data[at + g] = 0x28 + draw.integer(8)
    if (type === 'IQ1_M') {
      data[at + 53] = (data[at + 53] & 15) | 0x10
      data[at + 55] = (data[at + 55] & 15) | 0x20
    }
  }
  const blocks = { dtype: 'U8' as const, shape: [rows, data.length / rows], data }
  return { codec: ggufLayout.codec, params: { type }, shape: [rows, cols], parts: { blocks } }
}
