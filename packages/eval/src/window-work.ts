import type { LongWork } from '@reallm/tensor-io'
import type { WeightSource } from '@reallm/transformer'
import type { RunningModel } from './running/running-model.ts'
import type { Kept, Tally } from './tally.ts'
import type { Protocol, Window } from './windows.ts'

/** A model to measure: its weights, through TensorFlow.js block by block, or one that `load` of `@reallm/runtime` runs. */
export type EvaluatedModel = WeightSource | RunningModel

/** Options of `perplexity` and `perplexities`. */
export interface PerplexityOptions extends Protocol, LongWork {
  /** A model to compare with, such as the original: adds `kl`, `top1` and `top5`. Of the same kind as the model. */
  readonly against?: EvaluatedModel | undefined
  /** Memory for the activations of windows that go through a block together, through TensorFlow.js; default 256 MiB. */
  readonly maxActivationBytes?: number | undefined
  /** What was measured before and is kept, window by window: of each of the models. Belongs to these tokens and protocol. */
  readonly kept?: readonly Kept<Tally>[] | undefined
  /** Of the resampling that gives intervals; default 0. */
  readonly seed?: number | undefined
}

/** Windows to measure, of each model those that are not kept. */
export interface WindowWork<M> {
  readonly models: readonly M[]
  readonly against: M | undefined
  readonly windows: readonly Window[]
  /** Whether a window of a model is known already. */
  isKnown(model: number, window: number): boolean
  record(model: number, window: number, tally: Tally): Promise<void>
  /** Tells of progress and stops on request. */
  readonly options: PerplexityOptions
}
