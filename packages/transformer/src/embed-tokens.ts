import type { ModelWeights } from '@reallm/tensor-io/models'
import { type TfTensor, tf } from './tf.ts'
import { type RowSource, type TokenRows, tokenRows } from './token-rows.ts'
import { embed } from './transformer.ts'
import { loadTensors } from './weights.ts'

/** Token ids of sequences of one length. */
export type TokenBatch = readonly (readonly number[])[]

/** Rows of a model's tensor. */
export const rowsOf = (model: Pick<ModelWeights, 'read' | 'shapes'>, name: string): RowSource => ({
  shape: model.shapes.get(name)!,
  read: async (from, to) => (await model.read(name, [from, to])).data,
})

/**
 * The stream before the first layer, `[batch, positions, streamWidth]`, of a batch. Of tables only the rows that it reads are in memory.
 *
 * @param rows of the embedding, the model's own or others
 */
export async function embedTokens(
  model: ModelWeights,
  sequences: TokenBatch,
  rows: TokenRows,
): Promise<TfTensor> {
  const { config } = model
  const perLayer = config.perLayerInputs
  const looked = perLayer && (await tokenRows(rowsOf(model, perLayer.table.name), sequences))
  const outside = perLayer
    ? await loadTensors(model, [`${perLayer.projection.name}.weight`, `${perLayer.norm.name}.weight`])
    : {}
  const embedded = tf.tidy(() => {
    const ids = sequences.flat()
    const table = (found: TokenRows) => tf.tensor2d(found.of(ids), [ids.length, found.cols])
    const weights = {
      ...outside,
      'model.embed_tokens.weight': table(rows),
      ...(perLayer && looked && { [perLayer.table.name]: table(looked) }),
    }
    const places = tf.range(0, ids.length, 1, 'int32').reshape([sequences.length, -1])
    return embed(config, weights, places as TfTensor)
  })
  tf.dispose(outside)
  return embedded
}
