import { type LongWork, ReallmError, throwIfAborted } from '@reallm/tensor-io'
import {
  block,
  crossEntropy,
  embed,
  head,
  type TfTensor,
  tf,
  valuesOf,
  type WeightSource,
} from '@reallm/transformer'
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

/** Tokens that go through a block at one time. */
const batchTokens = 2048
/** Positions whose predictions are held at a time: each has as many as the vocabulary. */
const headTokens = 32

/**
 * Perplexity of a model on tokens under a stated protocol, and how far it is from another model's predictions.
 *
 * Windows go through the model one block at a time, so that a streamed model takes the memory of one block and of
 * the windows' activations.
 *
 * @param tokens ids of a long text, or rows of ids
 * @throws `bad-option` when the protocol does not fit the tokens, a token is outside the vocabulary, or the two
 *   models have different vocabularies; `numeric` when the loss is not finite; `aborted`
 * @example
 * const { perplexity: ppl } = await perplexity(streamed(model), ids, { ctx: 512, windows: 40 })
 */
export async function perplexity(
  model: WeightSource,
  tokens: readonly number[] | readonly (readonly number[])[],
  options: PerplexityOptions = {},
): Promise<Evaluation> {
  const { against, maxActivationBytes = 2 ** 28 } = options
  const windows = windowsOf(tokens, options)
  const models = against ? [model, against] : [model]
  for (const { config } of models) checkTokens(windows, config.vocabSize)
  if (against && against.config.vocabSize !== model.config.vocabSize) {
    const sizes = `${model.config.vocabSize} and ${against.config.vocabSize}`
    throw new ReallmError('bad-option', `models with vocabularies of ${sizes} tokens cannot be compared`)
  }
  const started = performance.now()
  const widest = Math.max(...models.map(m => m.config.hiddenSize))
  const chunks = inChunks(windows, Math.max(batchTokens, maxActivationBytes / (8 * widest * models.length)))
  const stages = models.reduce((sum, m) => sum + m.config.layers, 1)
  let done = 0
  const step = async (name: string) => {
    throwIfAborted(options.signal)
    done++
    const total = stages * chunks.length
    const eta = ((performance.now() - started) / 1000 / done) * (total - done)
    options.onProgress?.({ event: 'block-end', name, done, total, eta })
    await tf.nextFrame()
  }

  const sums = { loss: 0, otherLoss: 0, kl: 0, agreed: 0, tokens: 0 }
  for (const chunk of chunks) {
    const states: TfTensor[][] = []
    try {
      for (const m of models) states.push(await scoredStates(m, chunk, step))
      await score(models, states, chunk, sums, options)
      await step('head')
    } finally {
      tf.dispose(states)
    }
  }
  const loss = sums.loss / sums.tokens
  if (!Number.isFinite(loss)) {
    throw new ReallmError('numeric', `the loss is ${loss}`, {
      hint: 'check the weights for values that are not finite',
    })
  }
  return {
    perplexity: Math.exp(loss),
    loss,
    tokens: sums.tokens,
    windows: windows.length,
    ...(against && {
      kl: sums.kl / sums.tokens,
      top1: sums.agreed / sums.tokens,
      otherLoss: sums.otherLoss / sums.tokens,
    }),
    seconds: (performance.now() - started) / 1000,
  }
}

/** The head's inputs that predict each window's scored positions: `[scored, hidden]` per window. */
async function scoredStates(
  model: WeightSource,
  windows: readonly Window[],
  step: (name: string) => Promise<void>,
): Promise<TfTensor[]> {
  const { config, hooks = {} } = model
  let batches: TfTensor[] = []
  try {
    batches = await model.with('embed', weights =>
      inChunks(windows, batchTokens, true).map(batch =>
        tf.tidy(() =>
          embed(
            config,
            weights,
            tf.tensor2d(
              batch.map(w => [...w.ids]),
              undefined,
              'int32',
            ),
          ),
        ),
      ),
    )
    for (let i = 0; i < config.layers; i++) {
      await model.with(i, weights => {
        for (const [b, x] of batches.entries()) {
          batches[b] = block(config, weights, i, x, hooks)
          x.dispose()
        }
      })
      await step(`block ${i}`)
    }
    const rows = tf.tidy(() => batches.flatMap(batch => tf.unstack(batch)))
    const scored = tf.tidy(() =>
      rows.map((row, i) => row.slice([windows[i].from - 1], [scoredTokens(windows[i])])),
    )
    tf.dispose(rows)
    return scored
  } finally {
    tf.dispose(batches)
  }
}

interface Sums {
  loss: number
  otherLoss: number
  kl: number
  agreed: number
  tokens: number
}

/** Adds up what the heads of one or two models predict at the scored positions. */
async function score(
  models: readonly WeightSource[],
  states: readonly (readonly TfTensor[])[],
  windows: readonly Window[],
  sums: Sums,
  { signal }: LongWork,
): Promise<void> {
  const [model, other] = models
  const logitsOf = (m: WeightSource, weights: Parameters<typeof head>[1], rows: TfTensor) =>
    head(m.config, weights, rows.expandDims(0), m.hooks).squeeze([0])
  await model.with('head', async weights => {
    const compare = async (otherWeights?: Parameters<typeof head>[1]) => {
      for (const [i, { ids, from }] of windows.entries()) {
        throwIfAborted(signal)
        for (let at = from; at < ids.length; at += headTokens) {
          const count = Math.min(headTokens, ids.length - at)
          const rows = (x: TfTensor) => x.slice([at - from], [count])
          tf.tidy(() => {
            const labels = tf.tensor1d(ids.slice(at, at + count), 'int32')
            const logits = logitsOf(model, weights, rows(states[0][i]))
            sums.loss += crossEntropy(logits, labels).sum().dataSync()[0]
            sums.tokens += count
            if (!otherWeights) return
            const wanted = logitsOf(other, otherWeights, rows(states[1][i]))
            sums.otherLoss += crossEntropy(wanted, labels).sum().dataSync()[0]
            sums.kl += divergence(wanted, logits)
            sums.agreed += tf.equal(wanted.argMax(-1), logits.argMax(-1)).sum().dataSync()[0]
          })
        }
      }
    }
    return other ? other.with('head', compare) : compare()
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

const scoredTokens = ({ ids, from }: Window) => ids.length - from

/** Consecutive windows of up to so many tokens together; `sameLength` also parts those of different lengths. */
function inChunks(windows: readonly Window[], tokens: number, sameLength = false): Window[][] {
  const chunks: Window[][] = []
  let room = 0
  for (const window of windows) {
    const length = window.ids.length
    const chunk = chunks.at(-1)
    if (chunk && length <= room && !(sameLength && chunk[0].ids.length !== length)) {
      chunk.push(window)
      room -= length
    } else {
      chunks.push([window])
      room = tokens - length
    }
  }
  return chunks
}

function checkTokens(windows: readonly Window[], vocabulary: number): void {
  for (const { ids } of windows) {
    const wrong = ids.find(id => !(Number.isInteger(id) && id >= 0 && id < vocabulary))
    if (wrong !== undefined) {
      throw new ReallmError('bad-option', `token ${wrong} is outside the vocabulary of ${vocabulary}`, {
        hint: 'the tokens are of another tokenizer',
      })
    }
  }
}
