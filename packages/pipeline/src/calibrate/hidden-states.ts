import type { Matrix } from '@reallm/tensor-io'
import {
  embed,
  loadTensors,
  type ModelWeights,
  type TransformerConfig,
  tf,
  valuesOf,
  type Weights,
} from '@reallm/transformer'
import { pause } from '#platform'
import { type Activations, activations, type Scratch } from './activations.ts'
import type { SequenceBatch } from './forward.ts'

/** Hidden states of all sequences before the next layer. */
export interface HiddenStates {
  /** Batches that the sequences are in. */
  readonly batches: number
  get(batch: number): Promise<SequenceBatch>
  /** Replaces every batch by what `step` makes of it. */
  advance(step: (x: SequenceBatch, batch: number) => Float32Array | Promise<Float32Array>): Promise<void>
  close(): Promise<void>
}

/** Tokens that go through a layer at one time. */
const batchTokens = 2048

/** Consecutive sequences of one length that go through a layer together. */
export function batchesOf(sequences: readonly Int32Array[]): Int32Array[][] {
  const each = Math.max(1, Math.floor(batchTokens / sequences[0].length))
  return Array.from({ length: Math.ceil(sequences.length / each) }, (_, b) =>
    sequences.slice(b * each, (b + 1) * each),
  )
}

/** Starts behind the embedding: looks up every sequence's tokens in `table` `[vocabulary, hidden]`. */
export async function embedSequences(
  model: ModelWeights,
  table: Matrix,
  batches: readonly (readonly Int32Array[])[],
  scratch: Scratch,
): Promise<HiddenStates> {
  const x: Activations = await activations(scratch)
  const { length } = batches[0][0]
  const outside = await loadTensors(model, perLayerProjection(model.config))
  for (const [b, sequences] of batches.entries())
    await x.set(b, await lookUp(model, outside, table, sequences))
  tf.dispose(outside)
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

/** What the per-layer inputs of a model need beside their table, by name. */
function perLayerProjection({ perLayerInputs }: TransformerConfig): string[] {
  if (!perLayerInputs) return []
  return [perLayerInputs.projection, perLayerInputs.norm].map(({ name }) => `${name}.weight`)
}

/** The stream before the first layer, as the model's forward pass has it. */
async function lookUp(
  model: ModelWeights,
  outside: Weights,
  table: Matrix,
  sequences: readonly Int32Array[],
): Promise<Float32Array> {
  const { config } = model
  const ids = sequences.flatMap(sequence => [...sequence])
  const rows = rowsOf(table, ids)
  const perLayer = config.perLayerInputs?.table
  const own = perLayer && (await rowsFrom(model, perLayer.name, ids))
  return valuesOf(() => {
    const weights = {
      ...outside,
      'model.embed_tokens.weight': tf.tensor2d(rows, [ids.length, table.cols]),
      ...(perLayer && { [perLayer.name]: tf.tensor2d(own!, [ids.length, perLayer.shape[1]]) }),
    }
    return embed(config, weights, tf.range(0, ids.length, 1, 'int32').expandDims(0))
  })
}

function rowsOf({ data, cols }: Matrix, ids: readonly number[]): Float32Array {
  const rows = new Float32Array(ids.length * cols)
  for (const [t, id] of ids.entries()) rows.set(data.subarray(id * cols, (id + 1) * cols), t * cols)
  return rows
}

/** Rows of a stored table that is too large to be in memory. */
async function rowsFrom(model: ModelWeights, name: string, ids: readonly number[]): Promise<Float32Array> {
  const cols = model.shapes.get(name)![1]
  const rows = new Float32Array(ids.length * cols)
  const known = new Map<number, Float32Array>()
  for (const [t, id] of ids.entries()) {
    const row = known.get(id) ?? (await model.read(name, [id, id + 1])).data
    known.set(id, row)
    rows.set(row, t * cols)
  }
  return rows
}
