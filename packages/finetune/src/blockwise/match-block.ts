import type { LongWork } from '@reallm/tensor-io'
import { streamWidth, type TfTensor, type TransformerConfig, tf } from '@reallm/transformer'
import type { AdamWOptions, Parameters } from '@reallm/transformer/adamw'
import { type Batch, collate, type Sequence, shuffled } from '../batches.ts'
import { meanLoss } from '../loss.ts'
import { train } from '../train.ts'
import { rowsOf, type SequenceStates } from './hidden-states.ts'

/** How long and how fast a block is trained. */
export interface MatchSettings extends AdamWOptions {
  /** Most steps. */
  readonly steps: number
  /** Sequences per step. */
  readonly rows: number
  readonly learningRate: number
  /** Validations without a new best until it is done; there is one every 10 steps. */
  readonly patience: number
  readonly seed: number
}

export interface MatchOptions extends MatchSettings, LongWork {
  readonly config: TransformerConfig
  /** Sequences in the order of `inputs`; the first `trained` are trained on, the others decide when to stop. */
  readonly sequences: readonly Sequence[]
  readonly trained: number
  readonly inputs: SequenceStates
  readonly targets: SequenceStates
  /** The block with the parameters in place, `[sequences, positions, hidden]` → the same. */
  run(x: TfTensor): TfTensor
  readonly parameters: Parameters
}

/** Mean relative squared error of a block's output on the validation sequences. */
export interface MatchResult {
  readonly before: number
  readonly after: number
}

/**
 * Trains parameters until `run` maps the inputs to the targets. Each token's error is relative to its target, since the
 * first token's activations are far larger than the others'. The parameters with the least validation error are kept.
 */
export async function matchBlock(options: MatchOptions): Promise<MatchResult> {
  const { config, sequences, trained, inputs, targets, run, parameters, signal, rates } = options
  const { steps, rows, learningRate, patience, seed } = options
  let now: { readonly input: Float32Array; readonly target: Float32Array }
  const prepare = async (batch: Batch) => {
    now = { input: await rowsOf(config, inputs, batch), target: await rowsOf(config, targets, batch) }
  }
  const loss = (batch: Batch) =>
    tf.tidy(() => {
      const shape: [number, number, number] = [batch.rows, batch.length, streamWidth(config)]
      const target = tf.tensor3d(now.target, shape)
      const error = run(tf.tensor3d(now.input, shape)).sub(target).square().sum(-1)
      const relative = error.div(target.square().sum(-1).add(1e-12)).reshape([-1])
      return relative.mul(tf.tensor1d(batch.weights)).sum() as TfTensor
    })
  const validationBatches = sequences.slice(trained).map((_, k) => collate(sequences, [trained + k]))
  const validate = () => meanLoss(validationBatches, loss, prepare)
  const before = await validate()
  const { validation } = await train({
    ...{ steps, learningRate, patience, loss, prepare, validate, parameters },
    signal,
    rates,
    batches: shuffled(sequences.slice(0, trained), { rows, seed }),
    validateEvery: 10,
  })
  return { before, after: validation ?? before }
}
