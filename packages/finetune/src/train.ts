import {
  breather,
  type CheckpointStore,
  checkUnchanged,
  decodeCheckpoint,
  encodeCheckpoint,
  type LongWork,
  ReallmError,
  type Tensor,
} from '@reallm/tensor-io'
import { type AdamWOptions, adamW, assign, toTensor } from '@reallm/transformer/adamw'
import { bestWeights } from './best.ts'
import { learningRateAt } from './schedule.ts'
import { diverged, type UpdateOptions, updateOnce } from './update.ts'

/** Options of the training loop. */
export interface TrainOptions extends LongWork, AdamWOptions, UpdateOptions {
  /** Optimiser steps of the whole run, resumed part included. */
  readonly steps: number
  /** Highest learning rate. */
  readonly learningRate: number
  /** Steps of warm-up; default: 5 % of the steps. */
  readonly warmup?: number | undefined
  /** Last learning rate as a part of the highest; default 0.1. */
  readonly floor?: number | undefined
  /** Loss on text that is not trained on, in nats per token; called every `validateEvery` steps and at the end. */
  readonly validate?: (() => Promise<number>) | undefined
  readonly validateEvery?: number | undefined
  /** Stop after so many validations without a new best, and go back to the best. Default: never. */
  readonly patience?: number | undefined
  /**
   * Where to keep the state: before the first update, every `checkpointSeconds` (default 30), every `checkpointEvery`
   * steps where that is given, at the end and when stopped.
   */
  readonly checkpoint?: CheckpointStore | undefined
  readonly checkpointSeconds?: number | undefined
  readonly checkpointEvery?: number | undefined
  /** What else must be equal for a run to be resumed (data, seed, model). */
  readonly fingerprint?: Readonly<Record<string, unknown>> | undefined
}

/** What a step of training was like. */
export interface StepRecord {
  /** Steps done, this one included. */
  readonly step: number
  /** Nats per scored token. */
  readonly loss: number
  readonly learningRate: number
  readonly gradientNorm: number
  readonly validation?: number | undefined
}

/** What the training loop has come to. */
export interface TrainResult {
  /** One record per step of this call. */
  readonly history: readonly StepRecord[]
  readonly validation?: number | undefined
}

/**
 * Trains variables by AdamW with warm-up, cosine, clipping and gradient accumulation. With a checkpoint a run that
 * was killed resumes from the last saved step and ends in the same weights: batches, learning
 * rate and optimiser state depend on the step's number only.
 *
 * Progress: `step-end` (error = loss) and `validation-end` (error = validation loss), with `eta` in seconds.
 *
 * @throws `aborted` after saving a checkpoint; `numeric` when a loss, gradient or weight is not finite, which no checkpoint
 *   ever holds: a state is saved when its loss and gradient are known; `changed-option` on resuming.
 * @example
 * const w = tf.variable(tf.zeros([8, 8]))
 * await train({ parameters: new Map([['w', w]]), batches, loss, steps: 100, learningRate: 1e-3 })
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { parameters, steps, checkpoint, checkpointSeconds = 30, checkpointEvery, onProgress } = options
  const optimizer = adamW(parameters, options)
  const best = bestWeights(parameters, options.patience !== undefined)
  const history: StepRecord[] = []
  let step = 0
  let validation: number | undefined
  let savedAt = -1
  let savedWhen = 0

  async function values(): Promise<Map<string, Tensor<'F32'>>> {
    const all = new Map<string, Tensor<'F32'>>()
    for (const [name, p] of parameters) {
      const t = await toTensor(p)
      if (!t.data.every(Number.isFinite)) throw diverged(`${name} is not finite after step ${step}`, step)
      all.set(name, t)
    }
    return all
  }

  async function save(): Promise<void> {
    if (!checkpoint || savedAt === step) return
    const tensors = new Map(best.tensors())
    for (const [name, t] of await optimizer.state()) tensors.set(`o.${name}`, t)
    for (const [name, t] of await values()) tensors.set(`p.${name}`, t)
    const notes = { validation, best: best.loss, missed: best.missed }
    await checkpoint.save(encodeCheckpoint({ step, options: fixedOptions(options), tensors, notes }))
    savedAt = step
    savedWhen = performance.now()
  }

  async function saveIfDue(): Promise<void> {
    const isDue = performance.now() - savedWhen >= 1000 * checkpointSeconds
    if (savedAt < 0 || isDue || (checkpointEvery !== undefined && step % checkpointEvery === 0)) await save()
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
    savedWhen = performance.now()
  }

  try {
    await resume()
    const clock = eta(step, steps)
    const breathe = breather(options)
    while (step < steps && best.missed < (options.patience ?? Number.POSITIVE_INFINITY)) {
      await breathe()
      const learningRate = learningRateAt(step, { ...options, peak: options.learningRate })
      const { loss, gradientNorm } = await updateOnce(options, optimizer, step, learningRate, saveIfDue)
      step++
      const record: StepRecord = { step, loss, learningRate, gradientNorm }
      onProgress?.({ event: 'step-end', done: step, total: steps, error: loss, eta: clock(step) })
      if (options.validate && (step === steps || step % (options.validateEvery ?? steps) === 0)) {
        validation = await options.validate()
        if (!Number.isFinite(validation)) {
          throw diverged(`the loss on held-out data after step ${step} is ${validation}`, step)
        }
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
    }
    if (options.patience !== undefined) validation = best.use() ?? validation
    await (checkpoint ? save() : values())
    return { history, validation }
  } catch (error) {
    if (error instanceof ReallmError && error.code === 'aborted') await save()
    throw withCheckpoint(error, savedAt)
  } finally {
    optimizer.dispose()
  }
}

/** An error of numbers with a hint at the state before it, which is kept. */
function withCheckpoint(error: unknown, savedAt: number): unknown {
  if (!(error instanceof ReallmError && error.code === 'numeric') || savedAt < 0) return error
  const hint = [error.hint, `the checkpoint of step ${savedAt} is kept`].filter(Boolean).join('; ')
  return new ReallmError('numeric', error.message, { hint, cause: error })
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
