import { partialFloats } from '../../../packages/kernels/src/webgpu/index.ts'
import type { Region } from '../../../packages/runtime/src/backend/webgpu/arena.ts'
import type { Prepared } from '../../../packages/runtime/src/backend/webgpu/build.ts'
import { partsOf } from '../../../packages/runtime/src/backend/webgpu/parts.ts'
import type {
  AttentionStage,
  VectorStage,
  VectorStep,
} from '../../../packages/runtime/src/backend/webgpu/stage.ts'
import { Tables } from '../../../packages/runtime/src/backend/webgpu/tables.ts'
import { isTrellis } from '../../../packages/runtime/src/backend/webgpu/weight.ts'

/** Bytes that a dispatch for one token reads and writes, each once however many workgroups share them. */
export interface Traffic {
  /** Of packed weights. */
  readonly weights: number
  /** Of keys and values. */
  readonly cache: number
  /** Of vectors between kernels, and of tables, signs, factors, lists of steps and jobs. */
  readonly vectors: number
}

/** Of a key or value: f16, which the backend keeps. */
const VALUE_BYTES = 2
/** Words that tell a workgroup of products what to do. */
const JOB_WORDS = 16

/** What a dispatch reads and writes for the token that is at a position (counted from 1). */
export function trafficOf(prepared: Prepared, positions: number): Traffic {
  const { stage } = prepared
  switch (stage.kind) {
    case 'vector':
      return ofSteps(stage, positions)
    case 'product':
      return ofProducts(prepared)
    case 'attention':
      return ofAttention(stage, positions)
    case 'logits':
      return { weights: 0, cache: 0, vectors: 8 * stage.count }
    case 'recurrent':
      return { weights: 0, cache: 8 * stage.state, vectors: 4 * (stage.values + stage.words.length) }
  }
}

/** Of the choice of a token from so many logits. */
export const trafficOfChoice = (vocabulary: number): Traffic => ({
  ...{ weights: 0, cache: 0, vectors: 4 * vocabulary },
})

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

function ofProducts({ parts = [], workgroups }: Prepared): Traffic {
  const places = new Tables()
  const inputs = new Map<Region, number>()
  const tables = new Map<number, number>()
  let [weights, outputs] = [0, 0]
  for (const { product, piece } of parts) {
    const { blob } = piece
    const share = product.expert?.part ?? 1
    weights += 4 * blob.words * share
    outputs += blob.rows * product.chunks * share
    inputs.set(product.input, blob.cols * share)
    if (isTrellis(blob)) tables.set(places.place(blob.tables), blob.tables.length * 2 ** blob.stateBits)
  }
  const [jobs] = workgroups(1, 1)
  const floats = total(inputs) + outputs + JOB_WORDS * jobs
  return { weights, cache: 0, vectors: 4 * floats + total(tables) }
}

const total = (counts: ReadonlyMap<unknown, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0)

function ofSteps({ slots }: VectorStage, positions: number): Traffic {
  const steps = slots.flat()
  return {
    weights: 0,
    cache: VALUE_BYTES * steps.reduce((sum, { op, size }) => sum + (op === 'cache' ? size : 0), 0),
    vectors: steps.reduce((sum, step) => sum + 4 * (step.words.length + 1) + bytesOf(step, positions), 0),
  }
}

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

/** Queries, keys and values, and a partial result for each part of the keys. */
function ofAttention({ kernel, kvHeads, words }: AttentionStage, positions: number): Traffic {
  const { headDim, group } = kernel
  const [, window] = words
  const parts = partsOf(positions, 1).count
  return {
    weights: 0,
    cache: 2 * kvHeads * headDim * VALUE_BYTES * Math.min(positions, window || positions),
    vectors: 4 * (words.length + kvHeads * group * (headDim + parts * partialFloats(headDim))),
  }
}
