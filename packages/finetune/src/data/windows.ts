import { ReallmError, random, seedFor } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/transformer'
import { type Window, windowsOf } from '../batches.ts'
import type { Example } from './examples.ts'
import { tokenise } from './tokenise.ts'

export interface WindowOptions {
  /** Tokens predicted per window. */
  readonly length: number
  readonly seed: number
  /** Examples one after another in every window (default), or one example per window, cut at its length. */
  readonly packing?: boolean
  /** Part kept for validation; default 0.05, and at least one window. 0 keeps none. */
  readonly validation?: number
}

export interface SplitWindows {
  readonly train: readonly Window[]
  readonly validation: readonly Window[]
}

/**
 * Examples as windows, split into training and validation: whole examples, drawn by the seed; of a single text, its
 * last windows.
 *
 * @throws `bad-option` when there is too little for one window of each
 */
export function splitWindows(
  examples: readonly Example[],
  tokenizer: TextTokenizer,
  options: WindowOptions,
): SplitWindows {
  const { seed, validation = 0.05 } = options
  const tokens = examples.map(example => tokenise(example, tokenizer))
  const kept = (n: number) => (validation === 0 ? 0 : Math.max(1, Math.round(n * validation)))
  if (tokens.length === 1) {
    const windows = cut(tokens, options)
    const tail = kept(windows.length)
    if (windows.length <= tail) throw tooLittle(windows.length)
    return {
      train: windows.slice(0, windows.length - tail),
      validation: windows.slice(windows.length - tail),
    }
  }
  const order = shuffle(tokens, seedFor(seed, 'split'))
  const heldOut = kept(order.length)
  return {
    train: cut(order.slice(heldOut), options),
    validation: heldOut === 0 ? [] : cut(order.slice(0, heldOut), options),
  }
}

function cut(sequences: readonly Window[], { length, packing = true }: WindowOptions): Window[] {
  if (!packing) {
    return sequences
      .map(({ ids, weights }) => ({
        ids: Array.from(ids).slice(0, length + 1),
        weights: Array.from(weights ?? [], w => w).slice(0, length + 1),
      }))
      .filter(w => w.weights.some((weight, i) => i > 0 && weight > 0))
  }
  const ids = sequences.flatMap(s => Array.from(s.ids))
  const weights = sequences.flatMap(s => Array.from(s.weights ?? []))
  const size = Math.min(length, ids.length - 1)
  return windowsOf(ids, size).map((window, i) => ({
    ids: window.ids,
    weights: weights.slice(i * size, (i + 1) * size + 1),
  }))
}

function shuffle<T>(items: readonly T[], seed: number): T[] {
  const rng = random(seed)
  return items
    .map(item => ({ item, key: rng.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item)
}

const tooLittle = (windows: number) =>
  new ReallmError(
    'bad-option',
    `the data fill only ${windows} window, too little to keep one for validation`,
    {
      hint: 'give more text, a shorter window, or validation: 0',
    },
  )
