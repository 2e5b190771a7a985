import { throwIfAborted } from '@reallm/tensor-io'
import { type TfTensor, tf, type WeightSource } from '@reallm/transformer'
import { checkTokens } from '../check-tokens.ts'
import { inChunks, scoredStates } from '../scored-states.ts'
import type { Kept } from '../tally.ts'
import type { Window } from '../windows.ts'

/** What a model says of a continuation. */
export interface Scored {
  /** Sum of the log-likelihoods of its tokens, in nats. */
  readonly logLikelihood: number
  /** Whether each of its tokens is the model's most likely one. */
  readonly isGreedy: boolean
}

export interface ScoreOptions {
  readonly signal?: AbortSignal | undefined
  /** Called with the share of the windows that is done, 0 to 1. */
  readonly onShare?: ((share: number) => void) | undefined
  /** Tokens whose activations are held at a time; default 32768, or 8192 where results are kept. */
  readonly heldTokens?: number | undefined
  /** What was measured before, window by window. */
  readonly kept?: Kept<Scored> | undefined
}

/** Positions whose predictions are held at a time: each has as many as the vocabulary. */
const headRows = 64

/**
 * Log-likelihoods of the scored positions of windows, in their order. Windows go through a model block by block, those of
 * about the same length together.
 *
 * @throws `bad-option` for a token outside the vocabulary; `aborted`
 */
export async function scoreContinuations(
  model: WeightSource,
  windows: readonly Window[],
  { signal, onShare, kept, heldTokens = kept ? 2 ** 13 : 2 ** 15 }: ScoreOptions = {},
): Promise<Scored[]> {
  checkTokens(windows, model.config.vocabSize)
  const known = windows.map((_, i) => kept?.get(i))
  const results: Scored[] = new Array(windows.length)
  for (const [i, scored] of known.entries()) if (scored) results[i] = scored
  const missing = windows.map((_, i) => i).filter(i => !known[i])
  const order = missing.sort((a, b) => windows[a].ids.length - windows[b].ids.length)
  const chunks = inChunks(
    order.map(i => windows[i]),
    heldTokens,
  )
  const stages = (model.config.layers + 1) * chunks.length
  let done = 0
  let at = 0
  const step = async () => {
    throwIfAborted(signal)
    onShare?.(++done / stages)
    await tf.nextFrame()
  }
  for (const chunk of chunks) {
    const states = await scoredStates(model, chunk, step)
    try {
      const scored = await scoreStates(model, states, chunk, signal)
      for (const result of scored) {
        const i = order[at++]
        results[i] = result
        await kept?.put(i, result)
      }
    } finally {
      tf.dispose(states)
    }
    await step()
  }
  return results
}

/** What the head makes of the states of all windows, a few rows at a time. */
function scoreStates(
  model: WeightSource,
  states: readonly TfTensor[],
  windows: readonly Window[],
  signal: AbortSignal | undefined,
): Promise<Scored[]> {
  const labels = windows.flatMap(({ ids, from }) => ids.slice(from))
  const likelihoods: number[] = []
  const greedy: boolean[] = []
  return model.withHead(async head => {
    const each = head.positions ?? headRows
    const rows = tf.concat([...states])
    try {
      for (let at = 0; at < labels.length; at += each) {
        throwIfAborted(signal)
        const wanted = labels.slice(at, at + each)
        const x = tf.slice(rows, [at], [wanted.length])
        const logits = await head.logits(x)
        const [picked, likeliest] = tf.tidy(() => {
          const places = tf.tensor2d(
            wanted.map((id, i) => [i, id]),
            undefined,
            'int32',
          )
          const own = tf.gatherND(tf.logSoftmax(logits), places)
          return [own.dataSync(), logits.argMax(-1).dataSync()]
        })
        tf.dispose([x, logits])
        likelihoods.push(...picked)
        greedy.push(...wanted.map((id, i) => likeliest[i] === id))
      }
    } finally {
      rows.dispose()
    }
    let next = 0
    return windows.map(({ ids, from }) => {
      const [first, last] = [next, (next += ids.length - from)]
      return {
        logLikelihood: likelihoods.slice(first, last).reduce((sum, v) => sum + v, 0),
        isGreedy: greedy.slice(first, last).every(Boolean),
      }
    })
  })
}
