import { type LongWork, ReallmError, throwIfAborted, warn } from '@reallm/tensor-io'
import {
  crossEntropy,
  head,
  streamWidth,
  type TfTensor,
  tf,
  valuesOf,
  type WeightSource,
} from '@reallm/transformer'
import { batchTokens, checkTokens, inChunks, scoredStates } from './scored-states.ts'
import { type Protocol, type Window, windowsOf } from './windows.ts'

export interface PerplexityOptions extends Protocol, LongWork {
  /** A model to compare with, such as the original: adds `kl` and `top1`. */
  readonly against?: WeightSource | undefined
  /** Memory for the activations of windows that go through a block together; default 256 MiB. */
  readonly maxActivationBytes?: number | undefined
}

export interface Evaluation {
  /** exp of `loss`. */
  readonly perplexity: number
  /** Mean negative log-likelihood of the scored tokens, in nats. */
  readonly loss: number
  /** Tokens scored. */
  readonly tokens: number
  readonly windows: number
  /** Mean KL divergence of the model's predictions from the other model's, KL(other ‖ model), in nats. */
  readonly kl?: number | undefined
  /** Share of scored positions where both models have the same most likely token. */
  readonly top1?: number | undefined
  /** Mean negative log-likelihood that the other model gives the scored tokens, in nats. */
  readonly otherLoss?: number | undefined
  readonly seconds: number
}

/** Positions whose predictions are held at a time: each has as many as the vocabulary. */
const headTokens = 32

/**
 * Perplexity of a model on tokens under a stated protocol, and how far it is from another model's predictions.
 *
 * @param tokens ids of a long text, or rows of ids
 * @throws as `perplexities`
 * @example
 * const { perplexity: ppl } = await perplexity(streamed(model), ids, { ctx: 512, windows: 40 })
 */
export async function perplexity(
  model: WeightSource,
  tokens: readonly number[] | readonly (readonly number[])[],
  options: PerplexityOptions = {},
): Promise<Evaluation> {
  const [evaluation] = await perplexities([model], tokens, options)
  return evaluation
}

/**
 * Perplexities of several models, each compared with `against`, which runs once for all.
 *
 * Windows go through a model one block at a time, so that a streamed model takes the memory of one block and of
 * the windows' activations.
 *
 * @param tokens ids of a long text, or rows of ids
 * @throws `bad-option` when the protocol does not fit the tokens, a token is outside the vocabulary, or the
 *   models have different vocabularies; `numeric` when a loss is not finite; `aborted`
 */
export async function perplexities(
  models: readonly WeightSource[],
  tokens: readonly number[] | readonly (readonly number[])[],
  options: PerplexityOptions = {},
): Promise<Evaluation[]> {
  const { against, maxActivationBytes = 2 ** 28 } = options
  const windows = windowsOf(tokens, options)
  const all = against ? [against, ...models] : models
  const longest = Math.max(...windows.map(({ ids }) => ids.length))
  for (const { config } of all) {
    if (longest > config.maxPositions) {
      const known = `${config.maxPositions} positions (max_position_embeddings)`
      warn(options, `windows of ${longest} tokens are longer than the ${known} that the model was made for`)
    }
    checkTokens(windows, config.vocabSize)
    if (config.vocabSize === all[0].config.vocabSize) continue
    const sizes = `${config.vocabSize} and ${all[0].config.vocabSize}`
    throw new ReallmError('bad-option', `models with vocabularies of ${sizes} tokens cannot be compared`)
  }
  const started = performance.now()
  const widest = Math.max(...all.map(m => streamWidth(m.config)))
  const chunks = inChunks(windows, Math.max(batchTokens, maxActivationBytes / (8 * widest * all.length)))
  const total = chunks.length * (models.length + all.reduce((sum, m) => sum + m.config.layers, 0))
  let done = 0
  const step = async (name: string) => {
    throwIfAborted(options.signal)
    done++
    const eta = ((performance.now() - started) / 1000 / done) * (total - done)
    options.onProgress?.({ event: 'block-end', name, done, total, eta })
    await tf.nextFrame()
  }

  const sums = models.map((): Sums => ({ loss: 0, otherLoss: 0, kl: 0, agreed: 0, tokens: 0 }))
  for (const chunk of chunks) {
    const reference = against && { model: against, states: await scoredStates(against, chunk, step) }
    try {
      for (const [m, model] of models.entries()) {
        const states = await scoredStates(model, chunk, step)
        try {
          await score({ model, states }, reference, chunk, sums[m], options)
        } finally {
          tf.dispose(states)
        }
        await step('head')
      }
    } finally {
      tf.dispose(reference?.states ?? [])
    }
  }
  const seconds = (performance.now() - started) / 1000
  return sums.map(sum => evaluationOf(sum, windows.length, seconds, against !== undefined))
}

function evaluationOf(sums: Sums, windows: number, seconds: number, isCompared: boolean): Evaluation {
  const { tokens } = sums
  const loss = sums.loss / tokens
  if (!Number.isFinite(loss)) {
    throw new ReallmError('numeric', `the loss is ${loss}`, {
      hint: 'check the weights for values that are not finite',
    })
  }
  const compared = { kl: sums.kl / tokens, top1: sums.agreed / tokens, otherLoss: sums.otherLoss / tokens }
  return { perplexity: Math.exp(loss), loss, tokens, windows, ...(isCompared && compared), seconds }
}

interface Sums {
  loss: number
  otherLoss: number
  kl: number
  agreed: number
  tokens: number
}

/** A model with the head's inputs that predict the scored positions of each window. */
interface Running {
  readonly model: WeightSource
  readonly states: readonly TfTensor[]
}

/** Adds up what the heads of a model, and of the one it is compared with, predict at the scored positions. */
async function score(
  own: Running,
  other: Running | undefined,
  windows: readonly Window[],
  sums: Sums,
  { signal }: LongWork,
): Promise<void> {
  const logitsOf = ({ model }: Running, weights: Parameters<typeof head>[1], rows: TfTensor) =>
    head(model.config, weights, rows.expandDims(0), model.hooks).squeeze([0])
  await own.model.with('head', async weights => {
    const compare = async (otherWeights?: Parameters<typeof head>[1]) => {
      for (const [i, { ids, from }] of windows.entries()) {
        throwIfAborted(signal)
        for (let at = from; at < ids.length; at += headTokens) {
          const count = Math.min(headTokens, ids.length - at)
          const rows = ({ states }: Running) => states[i].slice([at - from], [count])
          tf.tidy(() => {
            const labels = tf.tensor1d(ids.slice(at, at + count), 'int32')
            const logits = logitsOf(own, weights, rows(own))
            sums.loss += crossEntropy(logits, labels).sum().dataSync()[0]
            sums.tokens += count
            if (!other || !otherWeights) return
            const wanted = logitsOf(other, otherWeights, rows(other))
            sums.otherLoss += crossEntropy(wanted, labels).sum().dataSync()[0]
            sums.kl += divergence(wanted, logits)
            sums.agreed += tf.equal(wanted.argMax(-1), logits.argMax(-1)).sum().dataSync()[0]
          })
        }
      }
    }
    return other ? other.model.with('head', compare) : compare()
  })
}

/** Sum over rows of KL(p ‖ q), from logits `[rows, vocabulary]`. */
function divergence(p: TfTensor, q: TfTensor): number {
  return valuesOf(() => {
    const logP = tf.logSoftmax(p)
    const ratio = tf.tidy(() => logP.sub(tf.logSoftmax(q)))
    return logP.exp().mul(ratio).sum()
  })[0]
}
