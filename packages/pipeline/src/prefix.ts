import type { Matrix } from '@reallm/tensor-io'
import { embed, type ModelWeights, type TransformerConfig, tf, valuesOf } from '@reallm/transformer'
import { type Activations, activations } from './activations.ts'

/** Activations of all windows in front of the next block: of the original model, or behind what is quantised. */
export interface Prefix {
  readonly x: Activations
  /** Replaces the activations of every window by what `step` makes of them. */
  advance(step: (x: Float32Array, window: number) => Float32Array): Promise<void>
}

/** Starts at the embedding: looks up every window's tokens in `table` `[vocabulary, hidden]`. */
export async function startPrefix(
  config: TransformerConfig,
  table: Matrix,
  windows: readonly Int32Array[],
  spillTo?: string,
): Promise<Prefix> {
  const x = await activations(spillTo)
  for (const [i, ids] of windows.entries()) await x.set(i, lookUp(config, table, ids))
  return {
    x,
    async advance(step) {
      for (let i = 0; i < windows.length; i++) await x.set(i, step(await x.get(i), i))
    },
  }
}

/** Rows of the embedding as the model's forward pass sees them. */
function lookUp(config: TransformerConfig, table: Matrix, ids: Int32Array): Float32Array {
  const { cols } = table
  const rows = new Float32Array(ids.length * cols)
  for (let t = 0; t < ids.length; t++)
    rows.set(table.data.subarray(ids[t] * cols, (ids[t] + 1) * cols), t * cols)
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
