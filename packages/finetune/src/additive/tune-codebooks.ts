import type { LongWork, Matrix, MatrixShape } from '@reallm/tensor-io'
import {
  block,
  streamWidth,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import { type TfVariable, toTensor } from '@reallm/transformer/adamw'
import type { SequenceStates } from '../blockwise/hidden-states.ts'
import { type MatchResult, type MatchSettings, matchBlock } from '../blockwise/match-block.ts'
import { codewordSums } from './codeword-sums.ts'

/** A matrix of additive codes: `Ŵ[row, group] = scales[row] · Σ_m codebooks[m][codes[row, group, m]]`. */
export interface AdditiveMatrix {
  readonly shape: MatrixShape
  readonly codes: Uint16Array
  /** M codebooks of `size` words, one below the other: `[M · size, dim]`. */
  readonly books: { readonly vectors: Matrix; readonly count: number; readonly size: number }
  readonly scales: Float32Array
}

/** Options of `tuneCodebooks`. */
export interface TuneCodebooksOptions extends LongWork, Partial<MatchSettings> {
  readonly config: TransformerConfig
  /** Index of the block. */
  readonly block: number
  /** The block's weights; those of `matrices` are not used. */
  readonly weights: Weights
  /** By module. */
  readonly matrices: ReadonlyMap<string, AdditiveMatrix>
  /** Hidden states before the block, and those wanted after it, `[positions · hidden]` for each sequence. */
  readonly inputs: SequenceStates
  readonly targets: SequenceStates
  readonly steps: number
  readonly seed: number
}

/** What `tuneCodebooks` has learnt. */
export interface TunedCodebooks extends MatchResult {
  /** Codebooks `[M · size · dim]` and row scales, by module. */
  readonly matrices: ReadonlyMap<string, { readonly codebooks: Float32Array; readonly scales: Float32Array }>
  /** By the names of their weights. */
  readonly norms: ReadonlyMap<string, Float32Array>
}

/**
 * Block fine-tuning of AQLM (arXiv 2401.06118 §3.4): codebooks, row scales and norms of one block trained together by
 * Adam until the block maps inputs to targets; codes stay as they are. Every eighth sequence is for validation, which
 * decides when to stop.
 */
export async function tuneCodebooks(options: TuneCodebooksOptions): Promise<TunedCodebooks> {
  const { config, weights, matrices, inputs, targets, steps, seed, signal } = options
  const { rows = 4, learningRate = 1e-3, patience = 3 } = options
  const parameters = new Map<string, TfVariable>()
  const add = (name: string, value: () => TfTensor) =>
    parameters.set(
      name,
      tf.tidy(() => tf.variable(value())),
    )
  for (const [name, { books }] of matrices) {
    const { vectors } = books
    add(`${name}.codebooks`, () => tf.tensor2d(vectors.data, [vectors.rows, vectors.cols]))
    add(`${name}.row_scale`, () => tf.ones([matrices.get(name)!.shape[0]]))
  }
  const norms = Object.keys(weights).filter(name => weights[name].rank === 1 && name.endsWith('norm.weight'))
  for (const name of norms) add(name, () => weights[name].clone())

  const run = (x: TfTensor) => {
    const now: Record<string, TfTensor> = { ...weights }
    for (const name of norms) now[name] = parameters.get(name)!
    for (const [name, { shape, codes, books, scales }] of matrices) {
      const choice = { rows: shape[0], count: books.count, size: books.size, codes }
      const sums = codewordSums(choice, parameters.get(`${name}.codebooks`)!).slice([0, 0], [...shape])
      const factors = parameters.get(`${name}.row_scale`)!.mul(tf.tensor1d(scales))
      now[`${name}.weight`] = sums.mul(factors.expandDims(1))
    }
    return block(config, now, options.block, x)
  }
  try {
    const positions = (await inputs.get(0)).length / streamWidth(config)
    // Sequences predict one token less than they have.
    const sequences = Array.from({ length: inputs.sequences }, () => ({ ids: new Int32Array(positions + 1) }))
    const matched = await matchBlock({
      ...{ config, sequences, inputs, targets, run, parameters, steps, rows, learningRate, patience, seed },
      trained: inputs.sequences - Math.ceil(inputs.sequences / 8),
      signal,
      rates: options.rates,
    })
    const valuesOf = async (name: string) => (await toTensor(parameters.get(name)!)).data
    const tuned = new Map<string, { codebooks: Float32Array; scales: Float32Array }>()
    for (const [name, { scales }] of matrices) {
      const factors = await valuesOf(`${name}.row_scale`)
      tuned.set(name, {
        codebooks: await valuesOf(`${name}.codebooks`),
        scales: scales.map((scale, r) => scale * factors[r]),
      })
    }
    const tunedNorms = new Map<string, Float32Array>()
    for (const name of norms) tunedNorms.set(name, await valuesOf(name))
    return { ...matched, matrices: tuned, norms: tunedNorms }
  } finally {
    tf.dispose([...parameters.values()])
  }
}
