import type { SampleOptions } from '@reallm/tensor-io'
import type { AdapterModule, Mixer } from '@reallm/tensor-io/models'
import type { Op } from './op.ts'
import type { Described, Vector, Weight, WeightForm, WeightSource } from './weight.ts'

/** What the layers remember of one text: keys and values, later convolution and recurrent states. Grows as needed. */
export interface State extends Disposable {
  /** Tokens read. */
  readonly length: number
  readonly bytes: number
  /**
   * Forgets what came after the first `length` tokens and returns how many are left: `length`, or fewer where a state
   * cannot go back so far; the caller reads the rest again.
   */
  truncate(length: number): number
}

/** Tokens to read after those that a state holds: at least one, at most the backend's `batch`. */
export interface Batch {
  readonly ids: readonly number[]
  readonly state: State
  /**
   * Positions of the whole text, at least those of the state and of all that is read in this call: LongRoPE turns long texts
   * by other angles.
   */
  readonly length: number
}

/** How tokens are chosen, by the rules of `sample` of tensor-io. */
export interface Choice {
  readonly options: SampleOptions
  /** Ids that the repetition penalty applies to, repetitions allowed; those chosen meanwhile are added. */
  readonly previous: Iterable<number>
  /** A number from 0 to 1 for each token that is wanted: what `sample` draws. */
  readonly draws: readonly number[]
}

/**
 * The ops of a model, compiled once for its weights. It runs any number of tokens up to the backend's `batch`. Calls are
 * carried out in the order in which they are made; those of different states may go through the layers together.
 */
export interface Program extends Disposable {
  /** Reads tokens; the head does not run. */
  read(batch: Batch): Promise<void>
  /** Reads tokens and returns the logits after the last, `[vocabulary]`, or after each, `[ids, vocabulary]`. */
  logits(batch: Batch, of: 'last' | 'all'): Promise<Float32Array>
  /**
   * Reads tokens and chooses the next ones on the device, as many as there are draws: each but the last is read before the
   * next is chosen, so that the state ends with the last but one.
   */
  sample(batch: Batch, choice: Choice): Promise<readonly number[]>
}

/** What runs a model: its memory, its kernels, and how ops become work. */
export interface Backend extends Disposable {
  readonly name: 'reference' | 'wasm' | 'webgpu'
  /** Which kernels run, for reports: `relaxed`, the name of an adapter and its features. */
  readonly kernels: string
  /** Threads at work, the caller's included; 1 where that means nothing. */
  readonly threads: number
  /** Bytes of weights, scratch space and states. */
  readonly bytes: number
  /** Tokens at most that go through the layers together. */
  readonly batch: number
  /** Tokens that `sample` is best asked for at once: more than 1 where waiting for each costs more than a token. */
  readonly ahead: number
  /** The forms that it holds weights in, the quickest first. */
  readonly forms: readonly WeightForm[]
  /** Whether a stored matrix, wrappers included, can be held as it is; others are given as floats. */
  runs(stored: Described): boolean
  /**
   * Holds a matrix. What the source gave is not kept.
   *
   * @throws what `checkParts` of a stored matrix's layout throws; `bad-option` where memory does not suffice
   */
  weight(source: WeightSource, form: WeightForm): Promise<Weight>
  /** `W + scaling · b a`, of DoRA with its rows' norms put to `magnitude`. `base` is not copied and has to be kept. */
  adapted(base: Weight, change: AdapterModule): Promise<Weight>
  vector(values: Float32Array): Vector
  /** An empty state for layers with these mixers. */
  state(mixers: readonly Mixer[]): State
  /** Compiles ops; their weights and vectors have to be kept. */
  program(ops: readonly Op[]): Promise<Program>
}
