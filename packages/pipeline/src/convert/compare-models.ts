import { type LongWork, placeText, ReallmError, throwIfAborted } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { requireSameConfig } from './compare-configs.ts'
import type { StoredAs } from './storable.ts'

/** How far a stored weight may be from what was written: a share of the largest in its row, and as a number. */
const rounding: Readonly<Record<StoredAs, readonly [share: number, least: number]>> = {
  f32: [1e-6, 0],
  f16: [2 ** -11, 2 ** -24],
  bf16: [2 ** -8, 0],
  q8_0: [1 / 120, 127 * 2 ** -25],
}

/**
 * Refuses a model that was written and is not what it was made from: configuration field by field, and the first and last
 * row of every tensor.
 *
 * @throws `unsupported` naming what the format cannot hold; `integrity` naming a tensor that reads back otherwise
 */
export async function requireSameModel(
  original: ModelWeights,
  written: ModelWeights,
  dtype: StoredAs,
  { signal }: LongWork,
): Promise<void> {
  const form = written.files.kind === 'gguf' ? 'GGUF' : 'a model directory'
  requireSameConfig(original.config, written.config, form)
  for (const [name, shape] of original.shapes) {
    throwIfAborted(signal)
    for (const rows of endsOf(shape)) {
      const [wanted, got] = [(await original.read(name, rows)).data, (await written.read(name, rows)).data]
      requireClose(name, shape, wanted, got, rows[0] * wanted.length, dtype)
    }
  }
}

/** The first and the last row of a matrix, all of a vector. */
const endsOf = ([rows, ...others]: readonly number[]): (readonly [from: number, to: number])[] =>
  others.length === 0
    ? [[0, rows]]
    : [
        [0, 1],
        [rows - 1, rows],
      ]

function requireClose(
  name: string,
  shape: readonly number[],
  wanted: Float32Array,
  got: Float32Array,
  offset: number,
  dtype: StoredAs,
): void {
  const [share, least] = rounding[dtype]
  // Norms may be stored with 1 added.
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), shape.length > 1 ? 0 : 1)
  const at = wanted.findIndex((value, i) => !(Math.abs(value - got[i]) <= share * largest + least))
  if (at < 0) return
  const what = `reads back as ${got[at]} at ${placeText(shape, offset + at)}, it is ${wanted[at]}`
  throw new ReallmError('integrity', `${name} [${shape.join('×')}] ${what}`, {
    hint: 'nothing was written; this is a fault of reallm or of the disk',
  })
}
