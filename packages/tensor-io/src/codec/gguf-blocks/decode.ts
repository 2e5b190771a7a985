import { ReallmError } from '../../core/errors.ts'
import type { DecodeBlock } from './half.ts'
import { iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs } from './iq-blocks.ts'
import { q2_K, q3_K, q4_K, q5_K, q6_K } from './k-blocks.ts'
import {
  iq4_nl,
  iq4_xs,
  mxfp4,
  nvfp4,
  q1_0,
  q2_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  tq1_0,
  tq2_0,
} from './small-blocks.ts'
import type { GgufType } from './types.ts'

const decoders: Readonly<Record<string, DecodeBlock>> = {
  Q1_0: q1_0,
  Q2_0: q2_0,
  Q4_0: q4_0,
  Q4_1: q4_1,
  Q5_0: q5_0,
  Q5_1: q5_1,
  Q8_0: q8_0,
  Q2_K: q2_K,
  Q3_K: q3_K,
  Q4_K: q4_K,
  Q5_K: q5_K,
  Q6_K: q6_K,
  IQ1_S: iq1_s,
  IQ1_M: iq1_m,
  IQ2_XXS: iq2_xxs,
  IQ2_XS: iq2_xs,
  IQ2_S: iq2_s,
  IQ3_XXS: iq3_xxs,
  IQ3_S: iq3_s,
  IQ4_NL: iq4_nl,
  IQ4_XS: iq4_xs,
  TQ1_0: tq1_0,
  TQ2_0: tq2_0,
  MXFP4: mxfp4,
  NVFP4: nvfp4,
}

/**
 * Decodes blocks of a GGUF type to float32, bit for bit as llama.cpp does.
 * Throws `bad-tensor` when `bytes` are no whole number of blocks.
 */
export function decodeBlocks(type: GgufType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const blocks = bytes.length / type.bytes
  if (!Number.isInteger(blocks)) {
    throw new ReallmError(
      'bad-tensor',
      `${bytes.length} bytes are no whole number of ${type.name} blocks (${type.bytes} bytes)`,
    )
  }
  const decode = decoders[type.name]
  const out = new Float32Array(blocks * type.block)
  for (let i = 0; i < blocks; i++) decode(bytes, i * type.bytes, out, i * type.block)
  return out
}
