import { throwIfAborted } from '@reallm/tensor-io'
import {
  crossEntropy,
  head,
  streamWidth,
  type TfTensor,
  tf,
  valuesOf,
  type WeightSource,
} from '@reallm/transformer'
import { batchTokens, inChunks, scoredStates } from './scored-states.ts'
import type { ComparedTally, Tally } from './tally.ts'
import type { WindowWork } from './window-work.ts'
import type { Window } from './windows.ts'

/** Positions whose predictions are held at a time: each has as many as the vocabulary. */
const headTokens = 32

/** Tokens that go through a model before they are kept, where results are kept: what a killed run loses. */
const keptTokens = 8192

/** Windows go through the models one block at a time, as many together as memory allows. */
export async function streamWindows(work: WindowWork<WeightSource>): Promise<void> {
  const { models, against, windows, isKnown, record } = work
  const { signal, onProgress, kept, maxActivationBytes = 2 ** 28 } = work.options
  const all = against ? [against, ...models] : models
  const started = performance.now()
  const widest = Math.max(...all.map(m => streamWidth(m.config)))
  const pending = windows.filter((_, w) => models.some((_, m) => !isKnown(m, w)))
  const held = Math.max(batchTokens, maxActivationBytes / (8 * widest * all.length))
  const chunks = inChunks(pending, kept ? Math.min(keptTokens, held) : held)
  const total = chunks.length * (models.length + all.reduce((sum, m) => sum + m.config.layers, 0))
  let done = 0
  const step = async (name: string) => {
    throwIfAborted(signal)
    done++
    const eta = ((performance.now() - started) / 1000 / done) * (total - done)
    onProgress?.({ event: 'block-end', name, done, total, eta })
    await tf.nextFrame()
  }
  for (const chunk of chunks) {
    const reference = against && { model: against, states: await scoredStates(against, chunk, step) }
    try {
      for (const [m, model] of models.entries()) {
        const places = chunk.map(window => windows.indexOf(window))
        if (places.every(w => isKnown(m, w))) continue
        const states = await scoredStates(model, chunk, step)
        try {
          const tallies = await score({ model, states }, reference, chunk, signal)
          for (const [i, w] of places.entries()) if (!isKnown(m, w)) await record(m, w, tallies[i])
        } finally {
          tf.dispose(states)
        }
        await step('head')
      }
    } finally {
      tf.dispose(reference?.states ?? [])
    }
  }
}

/** A model with the head's inputs that predict the scored positions of each window. */
interface Running {
  readonly model: WeightSource
  readonly states: readonly TfTensor[]
}

/** What the heads of a model, and of the one it is compared with, predict at the scored positions. */
async function score(
  own: Running,
  other: Running | undefined,
  windows: readonly Window[],
  signal: AbortSignal | undefined,
): Promise<Tally[]> {
  const logitsOf = ({ model }: Running, weights: Parameters<typeof head>[1], rows: TfTensor) =>
    head(model.config, weights, rows.expandDims(0), model.hooks).squeeze([0]) as TfTensor
  return own.model.with('head', async weights => {
    const compare = (otherWeights?: Parameters<typeof head>[1]): Tally[] =>
      windows.map(({ ids, from }, w) => {
        let loss = 0
        const compared = { otherLoss: 0, kl: 0, top1: 0, top5: 0 }
        for (let at = from; at < ids.length; at += headTokens) {
          throwIfAborted(signal)
          const count = Math.min(headTokens, ids.length - at)
          const rows = ({ states }: Running) => states[w].slice([at - from], [count])
          tf.tidy(() => {
            const labels = tf.tensor1d(ids.slice(at, at + count), 'int32')
            const logits = logitsOf(own, weights, rows(own))
            loss += crossEntropy(logits, labels).sum().dataSync()[0]
            if (!other || !otherWeights) return
            const wanted = logitsOf(other, otherWeights, rows(other))
            const found = compareRows(wanted, logits)
            compared.otherLoss += crossEntropy(wanted, labels).sum().dataSync()[0]
            compared.kl += found.kl
            compared.top1 += found.top1
            compared.top5 += found.top5
          })
        }
        return { loss, tokens: ids.length - from, compared: other ? compared : undefined }
      })
    return other ? other.model.with('head', compare) : compare()
  })
}

/** Sums over rows of logits `[rows, vocabulary]`: KL(p ‖ q), and where p's likeliest token comes first, or among five, in q. */
function compareRows(p: TfTensor, q: TfTensor): Omit<ComparedTally, 'otherLoss'> {
  const [kl] = valuesOf(() => {
    const logP = tf.logSoftmax(p)
    const ratio = tf.tidy(() => logP.sub(tf.logSoftmax(q)))
    return logP.exp().mul(ratio).sum()
  })
  const ranks = valuesOf(() => {
    const vocabulary = p.shape[1]!
    const likeliest = tf.oneHot(p.argMax(-1), vocabulary).toFloat()
    const own = q.mul(likeliest).sum(-1, true)
    return tf.greater(q, own).toFloat().sum(-1)
  })
  return { kl, top1: ranks.filter(rank => rank === 0).length, top5: ranks.filter(rank => rank < 5).length }
}
