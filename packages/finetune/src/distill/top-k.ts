import { type TfTensor, tf } from '@reallm/transformer'
import type { TopK } from './divergence.ts'

/** The k likeliest tokens of each row of logits `[n, vocabulary]`, with their log-probabilities. */
export async function topK(logits: TfTensor, k: number): Promise<TopK> {
  const width = Math.min(k, logits.shape[1]!)
  const [values, indices] = tf.tidy(() => {
    const { values, indices } = tf.topk(logits, width)
    return [values.sub(tf.logSumExp(logits, -1, true)), indices]
  })
  const [logProbs, ids] = await Promise.all([values.data(), indices.data()])
  tf.dispose([values, indices])
  return { k: width, ids: Int32Array.from(ids), logProbs: Float32Array.from(logProbs) }
}
