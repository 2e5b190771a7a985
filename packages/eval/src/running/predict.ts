import type { Window } from '../windows.ts'
import type { RunningSession } from './running-model.ts'

/** Positions whose predictions are held at a time: each has as many as the vocabulary. */
const rows = 64

/** The logits `[vocabulary]` that predict some scored tokens, and these. */
export interface Predictions {
  readonly logits: readonly Float32Array[]
  readonly labels: readonly number[]
}

/**
 * Reads a window and gives the predictions of its scored positions, a few at a time. What the session has read before and
 * the window begins with is not read again.
 */
export async function* predict(
  session: RunningSession,
  { ids, from }: Window,
  signal: AbortSignal | undefined,
): AsyncGenerator<Predictions> {
  const rest = session.resume(ids.slice(0, from))
  if (rest.length > 1) await session.feed(rest.slice(0, -1), signal)
  for (let at = from; at < ids.length; at += rows) {
    const labels = ids.slice(at, at + rows)
    const all = await session.logits(ids.slice(at - 1, at - 1 + labels.length), signal)
    const width = all.length / labels.length
    yield { labels, logits: labels.map((_, i) => all.subarray(i * width, (i + 1) * width)) }
  }
}
