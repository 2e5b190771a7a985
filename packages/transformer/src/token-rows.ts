import type { Matrix } from '@reallm/tensor-io'

/** Weights of a piece that is read at a time. */
export const pieceWeights = 2 ** 22

/** A matrix whose rows are read piece by piece, because it may be too large to be in memory. */
export interface RowSource {
  /** `[rows, cols]` */
  readonly shape: readonly number[]
  /** Rows `from` to `to` (exclusive), one after the other. */
  read(from: number, to: number): Promise<Float32Array>
}

/** Some rows of a matrix, in the order given. */
export async function readRows({ shape, read }: RowSource, rows: readonly number[]): Promise<Matrix> {
  const [all, cols] = shape
  const each = Math.ceil(pieceWeights / cols)
  const data = new Float32Array(rows.length * cols)
  for (let from = 0; from < all; from += each) {
    const places = [...rows.keys()].filter(place => rows[place] >= from && rows[place] < from + each)
    if (places.length === 0) continue
    const values = await read(from, Math.min(all, from + each))
    for (const place of places) {
      const start = (rows[place] - from) * cols
      data.set(values.subarray(start, start + cols), place * cols)
    }
  }
  return { rows: rows.length, cols, data }
}

/** The rows of an embedding that some tokens read. */
export interface TokenRows {
  readonly cols: number
  /** Rows of tokens that are among them, `[tokens, cols]`. */
  of(ids: readonly number[]): Float32Array<ArrayBuffer>
}

/** Reads the rows of an embedding `[vocabulary, hidden]` that tokens of sequences read, each once. */
export async function tokenRows(
  source: RowSource,
  sequences: Iterable<Iterable<number>>,
): Promise<TokenRows> {
  const rows = [...new Set([...sequences].flatMap(ids => [...ids]))]
  const places = new Map(rows.map((id, place) => [id, place]))
  const { cols, data } = await readRows(source, rows)
  return {
    cols,
    of(ids) {
      const found = new Float32Array(ids.length * cols)
      for (const [t, id] of ids.entries()) {
        const start = places.get(id)! * cols
        found.set(data.subarray(start, start + cols), t * cols)
      }
      return found
    },
  }
}
