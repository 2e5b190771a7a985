import { comparePredictions, predictionOf } from '@reallm/kernels'
import { throwIfAborted } from '@reallm/tensor-io'
import type { WindowWork } from '../window-work.ts'
import type { Window } from '../windows.ts'
import { type Predictions, predict } from './predict.ts'
import type { RunningModel, RunningSession } from './running-model.ts'

/** One window after the other, each with an empty memory; predictions of all models side by side, a few positions at a time. */
export async function runWindows(work: WindowWork<RunningModel>): Promise<void> {
  const { models, against, windows, isKnown, record } = work
  const { signal, onProgress } = work.options
  const started = performance.now()
  const pending = windows.map((_, w) => models.map((_, m) => m).filter(m => !isKnown(m, w)))
  const total = pending.filter(list => list.length > 0).length
  const sessions = models.map(model => model.session())
  const other = against?.session()
  let done = 0
  try {
    for (const [w, window] of windows.entries()) {
      if (pending[w].length === 0) continue
      throwIfAborted(signal)
      const found = await talliesOf(
        pending[w].map(m => sessions[m]),
        other,
        window,
        signal,
      )
      for (const [i, m] of pending[w].entries()) await record(m, w, found[i])
      done++
      const eta = ((performance.now() - started) / 1000 / done) * (total - done)
      onProgress?.({ event: 'window-end', name: `window ${w + 1}`, done, total, eta })
    }
  } finally {
    for (const session of sessions) session.dispose()
    other?.dispose()
  }
}

interface Sums {
  loss: number
  tokens: number
  readonly compared: { otherLoss: number; kl: number; top1: number; top5: number }
}

async function talliesOf(
  sessions: readonly RunningSession[],
  other: RunningSession | undefined,
  window: Window,
  signal: AbortSignal | undefined,
) {
  const sums = sessions.map(
    (): Sums => ({ loss: 0, tokens: 0, compared: { otherLoss: 0, kl: 0, top1: 0, top5: 0 } }),
  )
  for (const session of [...sessions, ...(other ? [other] : [])]) session.truncate(0)
  const reference = other && predict(other, window, signal)
  const predictions = sessions.map(session => predict(session, window, signal))
  for (;;) {
    const wanted = (await reference?.next())?.value as Predictions | undefined
    let ended = false
    for (const [s, steps] of predictions.entries()) {
      const { value, done } = await steps.next()
      if (done) ended = true
      else add(sums[s], value, wanted)
    }
    if (ended) break
  }
  return sums.map(({ loss, tokens, compared }) => ({ loss, tokens, compared: other ? compared : undefined }))
}

function add(sums: Sums, { labels, logits }: Predictions, other: Predictions | undefined): void {
  const { compared } = sums
  for (const [i, label] of labels.entries()) {
    const own = logits[i]
    sums.tokens++
    if (!other) {
      sums.loss += predictionOf(own).logSumExp - own[label]
      continue
    }
    const wanted = other.logits[i]
    const { p, q, divergence, rank } = comparePredictions(wanted, own)
    sums.loss += q.logSumExp - own[label]
    compared.otherLoss += p.logSumExp - wanted[label]
    compared.kl += divergence
    if (rank === 0) compared.top1++
    if (rank < 5) compared.top5++
  }
}
