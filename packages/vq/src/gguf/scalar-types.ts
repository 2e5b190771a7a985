import { type NearestLevel, nearestLevel } from './nearest-level.ts'
import { packQ2K, packQ3K, packQ4K, packQ5K, packQ6K } from './pack-k.ts'
import {
  packIq4Xs,
  packMxfp4,
  packQ1_0,
  packQ2_0,
  packQ4_0,
  packQ4_1,
  packQ5_0,
  packQ5_1,
  packQ8_0,
  packTq1_0,
  packTq2_0,
} from './pack-small.ts'
import type { ScalarBlock } from './scalar-block.ts'

/** How a block's groups store their steps and shifts. */
export interface ScalarType {
  readonly nearest: NearestLevel
  /** Weights that share a step. */
  readonly group: number
  /**
   * A half float for each group, a power of two, or whole numbers between bounds times the block's half float: of the step,
   * and of the shift, which is subtracted.
   */
  readonly step: 'half' | 'power' | { readonly least: number; readonly most: number }
  readonly shift?: 'half' | { readonly most: number }
  pack(block: ScalarBlock, out: Uint8Array, at: number): void
}

const from = (low: number, high: number) =>
  nearestLevel(Array.from({ length: high - low + 1 }, (_, i) => low + i))

/** The levels of the non-linear 4-bit types. */
const nonLinear = /* @__PURE__ */ nearestLevel([
  -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
])

/** Types that store a code for each weight. */
export const scalarTypes: Readonly<Record<string, ScalarType>> = {
  Q1_0: { nearest: nearestLevel([-1, 1]), group: 128, step: 'half', pack: packQ1_0 },
  Q2_0: { nearest: from(-1, 2), group: 64, step: 'half', pack: packQ2_0 },
  Q4_0: { nearest: from(-8, 7), group: 32, step: 'half', pack: packQ4_0 },
  Q4_1: { nearest: from(0, 15), group: 32, step: 'half', shift: 'half', pack: packQ4_1 },
  Q5_0: { nearest: from(-16, 15), group: 32, step: 'half', pack: packQ5_0 },
  Q5_1: { nearest: from(0, 31), group: 32, step: 'half', shift: 'half', pack: packQ5_1 },
  Q8_0: { nearest: from(-127, 127), group: 32, step: 'half', pack: packQ8_0 },
  IQ4_NL: { nearest: nonLinear, group: 32, step: 'half', pack: packQ4_0 },
  MXFP4: {
    nearest: nearestLevel([-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12]),
    group: 32,
    step: 'power',
    pack: packMxfp4,
  },
  Q2_K: { nearest: from(0, 3), group: 16, step: { least: 0, most: 15 }, shift: { most: 15 }, pack: packQ2K },
  Q3_K: { nearest: from(-4, 3), group: 16, step: { least: -32, most: 31 }, pack: packQ3K },
  Q4_K: { nearest: from(0, 15), group: 32, step: { least: 0, most: 63 }, shift: { most: 63 }, pack: packQ4K },
  Q5_K: { nearest: from(0, 31), group: 32, step: { least: 0, most: 63 }, shift: { most: 63 }, pack: packQ5K },
  Q6_K: { nearest: from(-32, 31), group: 16, step: { least: -128, most: 127 }, pack: packQ6K },
  IQ4_XS: { nearest: nonLinear, group: 32, step: { least: -32, most: 31 }, pack: packIq4Xs },
  TQ1_0: { nearest: from(-1, 1), group: 256, step: 'half', pack: packTq1_0 },
  TQ2_0: { nearest: from(-1, 1), group: 256, step: 'half', pack: packTq2_0 },
}
