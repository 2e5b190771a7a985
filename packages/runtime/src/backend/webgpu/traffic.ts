import type { VectorStep } from './stage.ts'

/** Bytes that a dispatch for one token reads and writes, each once however many workgroups share them. */
export interface Traffic {
  /** Of packed weights. */
  readonly weights: number
  /** Of vectors between kernels, and of signs, factors, lists of steps and jobs. */
  readonly vectors: number
  /** Of keys and values, for each position. */
  readonly cacheOfPosition: number
}

/** Bytes of a list of steps for one token. */
export const bytesOfSteps = (steps: readonly VectorStep[], cache: 'f16' | 'f32'): number =>
  steps.reduce((sum, step) => sum + 4 * (step.words.length + 1) + bytesOf(step, cache), 0)

function bytesOf({ op, words, size }: VectorStep, cache: 'f16' | 'f32'): number {
  switch (op) {
    case 'product':
      return 4 * size * words[3]
    case 'attended':
      return 4 * words[0] * (words[1] + 2)
    case 'rotateInput':
    case 'rotateOutput':
      return Math.ceil(size / 8)
    case 'lowRankInput':
    case 'lowRankOutput':
      return 4 * size * words[1]
    case 'norm':
      return 4 * words[1]
    case 'rope':
      return 8 * words[2]
    case 'cache':
      return (cache === 'f16' ? 2 : 4) * size
    case 'keep':
    case 'gate':
    case 'slice':
    case 'pick':
      return 0
    default:
      return 4 * size
  }
}
