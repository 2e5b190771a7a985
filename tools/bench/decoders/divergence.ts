import type { Matrix } from '../../../packages/tensor-io/src/index.ts'
import {
  block,
  loadBlock,
  type ModelWeights,
  type TfTensor,
  tf,
  valuesOf,
  withHead,
} from '../../../packages/transformer/src/index.ts'
import { embedded } from './real-matrices.ts'

/** Matrices in place of a model's own, by the names of their modules. */
export type Replaced = ReadonlyMap<string, Matrix>

/** KL divergence of each model to the original, the mean over all positions of some sequences, nats. */
export async function divergences(
  model: ModelWeights,
  sequences: readonly Int32Array[],
  models: readonly Replaced[],
): Promise<number[]> {
  const original = await lastStreams(model, sequences, new Map())
  const others: TfTensor[][] = []
  for (const replaced of models) others.push(await lastStreams(model, sequences, replaced))
  const sums = models.map(() => 0)
  await withHead(model, async head => {
    for (const [s, stream] of original.entries()) {
      const wanted = tf.logSoftmax(await head.logits(stream))
      for (const [m, streams] of others.entries()) {
        const logits = await head.logits(streams[s])
        const kl = () =>
          tf
            .exp(wanted)
            .mul(wanted.sub(tf.logSoftmax(logits)))
            .sum(-1)
            .mean()
        sums[m] += valuesOf(kl)[0] / sequences.length
        logits.dispose()
      }
      wanted.dispose()
    }
  })
  return sums
}

/** Behind the last layer, `[positions, hidden]` for each sequence. */
async function lastStreams(model: ModelWeights, sequences: readonly Int32Array[], replaced: Replaced) {
  const streams: TfTensor[] = await embedded(model, sequences)
  for (let layer = 0; layer < model.config.layers; layer++) {
    const weights = { ...(await loadBlock(model, layer)) }
    for (const name of Object.keys(weights)) {
      const other = replaced.get(name.replace(/\.weight$/, ''))
      if (!other) continue
      weights[name].dispose()
      weights[name] = tf.tensor2d(other.data, [other.rows, other.cols])
    }
    for (const [s, stream] of streams.entries()) {
      streams[s] = block(model.config, weights, layer, stream)
      stream.dispose()
    }
    tf.dispose(weights)
  }
  return streams.map(stream => {
    const flat = stream.squeeze([0]) as TfTensor
    stream.dispose()
    return flat
  })
}
