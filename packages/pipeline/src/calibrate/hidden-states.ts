import type { Matrix } from '@reallm/tensor-io'
import { embed, type ModelWeights, type TransformerConfig, tf, valuesOf } from '@reallm/transformer'
import { pause } from '#platform'
import { type Activations, activations } from './activations.ts'
import type { WindowBatch } from './forward.ts'

/** Activations of all windows in front of the next block: of the original model, or behind what is quantised. */
export interface Prefix {
  /** Batches that the windows are in. */
  readonly batches: number
  get(batch: number): Promise<WindowBatch>
  /** Replaces the activations of every batch by what `step` makes of them. */
  advance(step: (x: WindowBatch, batch: number) => Float32Array | Promise<Float32Array>): Promise<void>
  close(): Promise<void>
}

/** Tokens that go through a block at one time. */
const batchTokens = 2048

/** Consecutive windows of one length that go through a block together. */
export function batchesOf(windows: readonly Int32Array[]): Int32Array[][] {
  const each = Math.max(1, Math.floor(batchTokens / windows[0].length))
  return Array.from({ length: Math.ceil(windows.length / each) }, (_, b) =>
    windows.slice(b * each, (b + 1) * each),
  )
}

/** Starts at the embedding: looks up every window's tokens in `table` `[vocabulary, hidden]`. */
export async function startPrefix(
  config: TransformerConfig,
  table: Matrix,
  batches: readonly (readonly Int32Array[])[],
  spillTo?: string,
): Promise<Prefix> {
  const x: Activations = await activations(spillTo)
  const { length } = batches[0][0]
  for (const [b, windows] of batches.entries()) await x.set(b, lookUp(config, table, windows))
  const get = async (batch: number) => ({ values: await x.get(batch), length })
  return {
    batches: batches.length,
    get,
    async advance(step) {
      for (let b = 0; b < batches.length; b++) {
        await x.set(b, await step(await get(b), b))
        // Lets the answers of encoding threads through.
        await pause()
      }
    },
    close: x.close,
  }
}

/** Rows of the embedding as the model's forward pass sees them. */
function lookUp(config: TransformerConfig, table: Matrix, windows: readonly Int32Array[]): Float32Array {
  const { cols } = table
  const ids = windows.flatMap(window => [...window])
  const rows = new Float32Array(ids.length * cols)
  for (const [t, id] of ids.entries()) rows.set(table.data.subarray(id * cols, (id + 1) * cols), t * cols)
  return valuesOf(() => {
    const weights = { 'model.embed_tokens.weight': tf.tensor2d(rows, [ids.length, cols]) }
    return embed(config, weights, tf.range(0, ids.length, 1, 'int32').expandDims(0))
  })
}

/** A tensor of a model as a matrix. */
export async function readMatrix(model: ModelWeights, name: string): Promise<Matrix> {
  const { shape, data } = await model.read(name)
  return { rows: shape[0], cols: shape[1], data }
}
