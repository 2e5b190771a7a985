import { partialFloats } from '@reallm/kernels/webgpu'
import { partsOf } from './parts.ts'
import type { AttentionStage, VectorStep } from './stage.ts'

/** Bytes that a dispatch for one token reads and writes, each once however many workgroups share them. */
export interface Traffic {
  /** Of packed weights. */
  readonly weights: number
  /** Of keys and values. */
  readonly cache: number
  /** Of vectors between kernels, and of tables, signs, factors, lists of steps and jobs. */
  readonly vectors: number
}

/** The same, of the token that is at a position (counted from 1). */
export type TrafficAt = (positions: number) => Traffic

/** What all dispatches read and write together. */
export const sumOf = (traffic: readonly Traffic[]): Traffic =>
  traffic.reduce(
    (sum, { weights, cache, vectors }) => ({
      weights: sum.weights + weights,
      cache: sum.cache + cache,
      vectors: sum.vectors + vectors,
    }),
    { weights: 0, cache: 0, vectors: 0 },
  )

/** Of a list of steps. */
export const trafficOfSteps =
  (steps: readonly VectorStep[], valueBytes: number): TrafficAt =>
  positions => ({
    weights: 0,
    cache: valueBytes * steps.reduce((sum, { op, size }) => sum + (op === 'cache' ? size : 0), 0),
    vectors: steps.reduce((sum, step) => sum + 4 * (step.words.length + 1) + bytesOf(step, positions), 0),
  })

function bytesOf({ op, words, size }: VectorStep, positions: number): number {
  switch (op) {
    case 'product':
      return 4 * size * words[3]
    case 'attended':
      return 4 * words[0] * partialFloats(words[1]) * partsOf(positions, 1).count
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
    case 'unit':
    case 'rows':
    case 'cache':
    case 'keep':
    case 'gate':
    case 'slice':
    case 'pick':
    case 'add':
    case 'times':
      return 0
    default:
      return 4 * size
  }
}

/** Of attention: queries, keys and values, and a partial result for each part of the keys. */
export const trafficOfAttention =
  ({ kernel, kvHeads, words, window }: AttentionStage, valueBytes: number): TrafficAt =>
  positions => {
    const { headDim, group } = kernel
    const parts = partsOf(positions, 1).count
    return {
      weights: 0,
      cache: 2 * kvHeads * headDim * valueBytes * Math.min(positions, window),
      vectors: 4 * (words.length + kvHeads * group * (headDim + parts * partialFloats(headDim))),
    }
  }
