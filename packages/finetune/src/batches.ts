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
  /** Numbers of the sequences in the rows, to look up what is known about a sequence (a teacher's logits). */
  readonly sequences: readonly number[]
}

/** Batches by their number: a pure function of it, so that a resumed run sees the same batches. */
export interface BatchSource {
  /** Sequences in one pass over the data. */
  readonly sequences: number
  batch(index: number): Batch
}

/** One sequence to train on; `weights[i]` says whether predicting `ids[i]` counts (default: all but the first do). */
export interface Sequence {
  readonly ids: ArrayLike<number>
  readonly weights?: ArrayLike<number>
}

/** How sequences are dealt to batches. */
export interface BatchOptions {
  /** Sequences per batch. */
  readonly rows: number
  readonly seed: number
}

/**
 * Cuts a long text's tokens into sequences of `length` predictions; neighbours share the token at the edge.
 *
 * @throws `bad-option` when there are too few tokens for one sequence.
 */
export function sequencesOf(tokens: ArrayLike<number>, length: number): Sequence[] {
  const count = Math.floor((tokens.length - 1) / length)
  if (count < 1) {
    throw new ReallmError(
      'bad-option',
      `${tokens.length} tokens are less than one sequence of ${length} + 1`,
      {
        hint: 'give more text or a shorter sequence',
      },
    )
  }
  const ids = Int32Array.from(tokens)
  return Array.from({ length: count }, (_, i) => ({ ids: ids.subarray(i * length, (i + 1) * length + 1) }))
}

/**
 * Batches of sequences, each pass over them in an order drawn from the seed. Shorter sequences are padded on the right
 * with token 0 that does not count.
 *
 * @example
 * const batches = shuffled(sequencesOf(tokens, 256), { rows: 8, seed: 1 })
 * batches.batch(0).ids // Int32Array [8 × 256]
 */
export function shuffled(sequences: readonly Sequence[], { rows, seed }: BatchOptions): BatchSource {
  if (sequences.length === 0) throw new ReallmError('bad-option', 'there is no sequence to train on')
  let order: { pass: number; of: Uint32Array } | undefined
  return {
    sequences: sequences.length,
    batch(index) {
      const chosen = Array.from({ length: rows }, (_, row) => {
        const position = index * rows + row
        const pass = Math.floor(position / sequences.length)
        if (order?.pass !== pass)
          order = { pass, of: permutation(sequences.length, seedFor(seed, `pass ${pass}`)) }
        return order.of[position % sequences.length]
      })
      return collate(sequences, chosen)
    },
  }
}

/** The sequences with these numbers as one batch. */
export function collate(sequences: readonly Sequence[], chosen: readonly number[]): Batch {
  const rows = chosen.length
  const length = chosen.reduce((most, w) => Math.max(most, sequences[w].ids.length), 0) - 1
  const [ids, targets] = [new Int32Array(rows * length), new Int32Array(rows * length)]
  const weights = new Float32Array(rows * length)
  for (const [row, number] of chosen.entries()) {
    const sequence = sequences[number]
    for (let i = 0; i + 1 < sequence.ids.length; i++) {
      ids[row * length + i] = sequence.ids[i]
      targets[row * length + i] = sequence.ids[i + 1]
      weights[row * length + i] = sequence.weights ? sequence.weights[i + 1] : 1
    }
  }
  return {
    rows,
    length,
    ids,
    targets,
    weights,
    scored: weights.reduce((a, b) => a + b, 0),
    sequences: chosen,
  }
}

/** A digest of a list of sequences (FNV-1a). */
export function digest(sequences: readonly Sequence[]): number {
  let hash = 0x811c9dc5
  for (const { ids } of sequences) {
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
