import {
  breather,
  type CheckpointStore,
  checkUnchanged,
  decodeCheckpoint,
  encodeCheckpoint,
  type LongWork,
  ReallmError,
} from '@reallm/tensor-io'
import { type AdamWOptions, adamW, assign, toTensor } from '@reallm/transformer/adamw'
import { bestWeights } from './best.ts'
import { learningRateAt } from './schedule.ts'
import { type UpdateOptions, updateOnce } from './update.ts'

export interface TrainOptions extends LongWork, AdamWOptions, UpdateOptions {
  /** Optimiser steps of the whole run, resumed part included. */
  readonly steps: number
  /** Highest learning rate. */
  readonly learningRate: number
  /** Steps of warm-up; default: 5 % of the steps. */
  readonly warmup?: number
  /** Last learning rate as a part of the highest; default 0.1. */
  readonly floor?: number
  /** Loss on text that is not trained on, in nats per token; called every `validateEvery` steps and at the end. */
  validate?(): Promise<number>
  readonly validateEvery?: number
  /** Stop after so many validations without a new best, and go back to the best. Default: never. */
  readonly patience?: number
  /** Where to keep the state, every `checkpointEvery` steps (default 100), at the end and when stopped. */
  readonly checkpoint?: CheckpointStore
  readonly checkpointEvery?: number
  /** What else must be equal for a run to be resumed (data, seed, model). */
  readonly fingerprint?: Readonly<Record<string, unknown>>
}

export interface StepRecord {
  /** Steps done, this one included. */
  readonly step: number
  /** Nats per scored token. */
  readonly loss: number
  readonly learningRate: number
  readonly gradientNorm: number
  readonly validation?: number
}

export interface TrainResult {
  /** One record per step of this call. */
  readonly history: readonly StepRecord[]
  readonly validation?: number
}

/**
 * Trains variables by AdamW with warm-up, cosine, clipping and gradient accumulation. With a checkpoint a run that
 * was killed goes on from the last saved step and ends in the same weights as if it had not been: batches, learning
 * rate and optimiser state depend on the step's number only.
 *
 * Progress: `step-end` (error = loss) and `validation-end` (error = validation loss), with `eta` in seconds.
 *
 * @throws `aborted` after saving a checkpoint; `numeric` when the loss is not finite; `changed-option` on resuming.
 * @example
 * const w = tf.variable(tf.zeros([8, 8]))
 * await train({ parameters: new Map([['w', w]]), batches, loss, steps: 100, learningRate: 1e-3 })
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { parameters, steps, checkpoint, checkpointEvery = 100, onProgress } = options
  const optimizer = adamW(parameters, options)
  const best = bestWeights(parameters, options.patience !== undefined)
  const history: StepRecord[] = []
  let step = 0
  let validation: number | undefined
  let savedAt = -1

  async function save(): Promise<void> {
    if (!checkpoint || savedAt === step) return
    const tensors = new Map(best.tensors())
    for (const [name, t] of await optimizer.state()) tensors.set(`o.${name}`, t)
    for (const [name, p] of parameters) tensors.set(`p.${name}`, await toTensor(p))
    const notes = { validation, best: best.loss, missed: best.missed }
    await checkpoint.save(encodeCheckpoint({ step, options: fixedOptions(options), tensors, notes }))
    savedAt = step
  }

  async function resume(): Promise<void> {
    const bytes = await checkpoint?.load()
    if (!bytes) return
    const saved = await decodeCheckpoint(bytes)
    checkUnchanged(saved.options, fixedOptions(options))
    const part = (prefix: string) =>
      new Map(
        [...saved.tensors].flatMap(([n, t]) => (n.startsWith(prefix) ? [[n.slice(prefix.length), t]] : [])),
      )
    const values = part('p.')
    for (const [name, p] of parameters) assign(p, values, name)
    optimizer.restore(part('o.'), saved.step)
    best.restore(saved.notes, part('b.'))
    validation = saved.notes.validation as number | undefined
    savedAt = step = saved.step
  }

  try {
    await resume()
    const clock = eta(step, steps)
    const breathe = breather(options)
    while (step < steps && best.missed < (options.patience ?? Number.POSITIVE_INFINITY)) {
      await breathe()
      const learningRate = learningRateAt(step, { ...options, peak: options.learningRate })
      const { loss, gradientNorm } = await updateOnce(options, optimizer, step, learningRate)
      step++
      const record: StepRecord = { step, loss, learningRate, gradientNorm }
      onProgress?.({ event: 'step-end', done: step, total: steps, error: loss, eta: clock(step) })
      if (options.validate && (step === steps || step % (options.validateEvery ?? steps) === 0)) {
        validation = await options.validate()
        await best.offer(validation)
        onProgress?.({
          event: 'validation-end',
          done: step,
          total: steps,
          error: validation,
          eta: clock(step),
        })
        history.push({ ...record, validation })
      } else {
        history.push(record)
      }
      if (step % checkpointEvery === 0) await save()
    }
    if (options.patience !== undefined) validation = best.use() ?? validation
    await save()
    return { history, ...(validation !== undefined && { validation }) }
  } catch (error) {
    if (error instanceof ReallmError && error.code === 'aborted') await save()
    throw error
  } finally {
    optimizer.dispose()
  }
}

/** What must be the same when a run is resumed. */
function fixedOptions(options: TrainOptions): Record<string, unknown> {
  const { steps, learningRate, rates, warmup, floor, accumulate, clip } = options
  const { beta1, beta2, epsilon, weightDecay } = options
  const schedule = { steps, learningRate, rates, warmup, floor, accumulate, clip }
  const given = { ...schedule, beta1, beta2, epsilon, weightDecay }
  const named = Object.entries({ ...given, ...options.fingerprint })
  return Object.fromEntries(named.filter(([, value]) => value !== undefined))
}

/** Seconds left, from the pace since `from`. */
function eta(from: number, total: number): (done: number) => number {
  const start = performance.now()
  return done => ((performance.now() - start) / 1000 / Math.max(1, done - from)) * (total - done)
}
