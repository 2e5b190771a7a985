import { ggufGrids } from '@reallm/tensor-io/layouts'
import type { LatticeBlock } from './lattice-block.ts'
import { packIq1M, packIq1S, packIq2S, packIq2Xs, packIq2Xxs, packIq3S, packIq3Xxs } from './pack-lattice.ts'

/** Types whose vectors are points of a set, times `unit · (2 · scale + 1)` of the block's step. */
export interface LatticeType {
  readonly grid: () => Float32Array
  /** Weights of a point. */
  readonly width: 4 | 8
  /** Weights that share a scale. */
  readonly group: 16 | 32
  readonly unit: number
  /** The largest scale. */
  readonly most: number
  /** Whether each weight has a sign, or every eighth one makes their number even. Absent: points have signs. */
  readonly signs?: 'free' | 'even'
  /** Points are shifted by an eighth up or down, a group or a vector alike. */
  readonly shift?: 'group' | 'vector'
  pack(block: LatticeBlock, out: Uint8Array, at: number): void
}

const { iq1, iq2xxs, iq2xs, iq2s, iq3xxs, iq3s } = ggufGrids

export const latticeTypes: Readonly<Record<string, LatticeType>> = {
  IQ2_XXS: { grid: iq2xxs, width: 8, group: 32, unit: 1 / 8, most: 15, signs: 'even', pack: packIq2Xxs },
  IQ2_XS: { grid: iq2xs, width: 8, group: 16, unit: 1 / 8, most: 15, signs: 'even', pack: packIq2Xs },
  IQ2_S: { grid: iq2s, width: 8, group: 16, unit: 1 / 8, most: 15, signs: 'free', pack: packIq2S },
  IQ3_XXS: { grid: iq3xxs, width: 4, group: 32, unit: 1 / 4, most: 15, signs: 'even', pack: packIq3Xxs },
  IQ3_S: { grid: iq3s, width: 4, group: 32, unit: 1, most: 15, signs: 'free', pack: packIq3S },
  IQ1_S: { grid: iq1, width: 8, group: 32, unit: 1, most: 7, shift: 'group', pack: packIq1S },
  IQ1_M: { grid: iq1, width: 8, group: 16, unit: 1, most: 7, shift: 'vector', pack: packIq1M },
}
