import { throwIfAborted } from '@reallm/tensor-io'
import {
  crossEntropy,
  type Head,
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
  const logitsAt = async ({ states }: Running, head: Head, w: number, [from, count]: [number, number]) => {
    const rows = tf.slice(states[w], [from], [count])
    const logits = await head.logits(rows)
    rows.dispose()
    return logits
  }
  const compare = async (head: Head, otherHead?: Head): Promise<Tally[]> => {
    const each = head.positions ?? otherHead?.positions ?? headTokens
    const tallies: Tally[] = []
    for (const [w, { ids, from }] of windows.entries()) {
      let loss = 0
      const compared = { otherLoss: 0, kl: 0, top1: 0, top5: 0 }
      for (let at = from; at < ids.length; at += each) {
        throwIfAborted(signal)
        const place: [number, number] = [at - from, Math.min(each, ids.length - at)]
        const logits = await logitsAt(own, head, w, place)
        const wanted = other && otherHead && (await logitsAt(other, otherHead, w, place))
        for (let row = 0; row < place[1]; row += headTokens) {
          const labels = ids.slice(at + row, at + Math.min(row + headTokens, place[1]))
          const found = scoreRows(logits, wanted, row, labels)
          loss += found.loss
          for (const key of comparedKeys) compared[key] += found.compared?.[key] ?? 0
        }
        tf.dispose([logits, wanted ?? []])
      }
      tallies.push({ loss, tokens: ids.length - from, compared: other ? compared : undefined })
    }
    return tallies
  }
  return own.model.withHead(head =>
    other ? other.model.withHead(otherHead => compare(head, otherHead)) : compare(head),
  )
}

const comparedKeys = ['otherLoss', 'kl', 'top1', 'top5'] as const

/** What logits `[positions, vocabulary]`, and those that they are compared with, say of `labels` from position `row` on. */
function scoreRows(
  logits: TfTensor,
  wanted: TfTensor | undefined,
  row: number,
  labels: readonly number[],
): { readonly loss: number; readonly compared: ComparedTally | undefined } {
  const vocabulary = logits.shape[1]!
  const rowsOf = (all: TfTensor) => all.slice([row, 0], [labels.length, vocabulary]) as TfTensor
  let found: ComparedTally | undefined
  const [loss] = tf.tidy(() => {
    const ids = tf.tensor1d([...labels], 'int32')
    const own = rowsOf(logits)
    if (wanted) {
      const other = rowsOf(wanted)
      found = { ...compareRows(other, own), otherLoss: crossEntropy(other, ids).sum().dataSync()[0] }
    }
    return crossEntropy(own, ids).sum().dataSync()
  })
  return { loss, compared: found }
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
