import { ReallmError, random, seedFor } from '@reallm/tensor-io'

/** Rows of token ids with what each position is to predict; row-major `[rows, length]`. */
export interface Batch {
  readonly rows: number
  readonly length: number
  readonly ids: Int32Array
  /** The token after each of `ids`. */
  readonly targets: Int32Array
  /** 1 where the target counts, 0 where it does not (prompts, padding). */
  readonly weights: Float32Array
  /** Sum of `weights`: the tokens that are scored. */
  readonly scored: number
  /** Numbers of the windows in the rows, so that what is known about a window (a teacher's logits) can be looked up. */
  readonly windows: readonly number[]
}

/** Batches by their number. A pure function of it, so that a resumed run sees exactly what it would have seen. */
export interface BatchSource {
  /** Windows in one pass over the data. */
  readonly windows: number
  batch(index: number): Batch
}

/** One window to train on; `weights[i]` says whether predicting `ids[i]` counts (default: all but the first do). */
export interface Window {
  readonly ids: ArrayLike<number>
  readonly weights?: ArrayLike<number>
}

export interface BatchOptions {
  /** Windows per batch. */
  readonly rows: number
  readonly seed: number
}

/**
 * Cuts one long stream of tokens into windows of `length` predictions; neighbours share the token at the edge.
 *
 * @throws `bad-option` when the stream is shorter than one window.
 */
export function windowsOf(stream: ArrayLike<number>, length: number): Window[] {
  const count = Math.floor((stream.length - 1) / length)
  if (count < 1) {
    throw new ReallmError('bad-option', `${stream.length} tokens are less than one window of ${length} + 1`, {
      hint: 'give more text or a shorter window',
    })
  }
  const ids = Int32Array.from(stream)
  return Array.from({ length: count }, (_, i) => ({ ids: ids.subarray(i * length, (i + 1) * length + 1) }))
}

/**
 * Batches of windows, each pass over them in an order drawn from the seed. Shorter windows are padded on the right
 * with token 0 that does not count.
 *
 * @example
 * const batches = shuffled(windowsOf(tokens, 256), { rows: 8, seed: 1 })
 * batches.batch(0).ids // Int32Array [8 × 256]
 */
export function shuffled(windows: readonly Window[], { rows, seed }: BatchOptions): BatchSource {
  if (windows.length === 0) throw new ReallmError('bad-option', 'there is no window to train on')
  let order: { pass: number; of: Uint32Array } | undefined
  return {
    windows: windows.length,
    batch(index) {
      const chosen = Array.from({ length: rows }, (_, row) => {
        const position = index * rows + row
        const pass = Math.floor(position / windows.length)
        if (order?.pass !== pass)
          order = { pass, of: permutation(windows.length, seedFor(seed, `pass ${pass}`)) }
        return order.of[position % windows.length]
      })
      return collate(windows, chosen)
    },
  }
}

/** The windows with these numbers as one batch. */
export function collate(windows: readonly Window[], chosen: readonly number[]): Batch {
  const rows = chosen.length
  const length = Math.max(...chosen.map(w => windows[w].ids.length)) - 1
  const [ids, targets] = [new Int32Array(rows * length), new Int32Array(rows * length)]
  const weights = new Float32Array(rows * length)
  for (const [row, number] of chosen.entries()) {
    const window = windows[number]
    for (let i = 0; i + 1 < window.ids.length; i++) {
      ids[row * length + i] = window.ids[i]
      targets[row * length + i] = window.ids[i + 1]
      weights[row * length + i] = window.weights ? window.weights[i + 1] : 1
    }
  }
  return { rows, length, ids, targets, weights, scored: weights.reduce((a, b) => a + b, 0), windows: chosen }
}

/** A number that tells one list of windows from another (FNV-1a). */
export function digest(windows: readonly Window[]): number {
  let hash = 0x811c9dc5
  for (const { ids } of windows) {
    for (let i = 0; i < ids.length; i++) hash = Math.imul(hash ^ ids[i], 0x01000193)
  }
  return hash >>> 0
}

function permutation(n: number, seed: number): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  const rng = random(seed)
  for (let i = n - 1; i > 0; i--) {
    const j = rng.integer(i + 1)
    ;[order[i], order[j]] = [order[j], order[i]]
  }
  return order
}
