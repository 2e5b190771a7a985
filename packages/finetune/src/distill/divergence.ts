import { type TfTensor, tf } from '@reallm/transformer'
import type { RowLosses } from '../head-loss.ts'

/** A teacher's distribution on n positions: its k likeliest tokens, `[n, k]` each, row-major. */
export interface TopK {
  readonly k: number
  readonly ids: Int32Array
  /** Natural logarithms of the probabilities. */
  readonly logProbs: Float32Array
}

/** Mass outside the top k that float32 cannot tell from none. */
const SMALLEST_TAIL = 1e-5

/**
 * KL(teacher ‖ student) of the positions `from … from + rows`, in nats; everything outside the teacher's top k counts as
 * one event. Student logits `[rows, vocabulary]`.
 *
 * @example
 * const { losses } = divergence(tf.zeros([1, 100]), { k: 1, ids: Int32Array.of(7), logProbs: Float32Array.of(-0.1) })
 */
export function divergence(logits: TfTensor, { k, ids, logProbs }: TopK, from = 0): RowLosses {
  const rows = logits.shape[0]
  const places = new Int32Array(rows * k * 2)
  const entropy = new Float32Array(rows)
  const tail = new Float32Array(rows)
  for (let r = 0; r < rows; r++) {
    let mass = 0
    for (let j = r * k; j < (r + 1) * k; j++) {
      const logP = logProbs[from * k + j]
      const p = Math.exp(logP)
      places[2 * j] = r
      places[2 * j + 1] = ids[from * k + j]
      mass += p
      entropy[r] += p * logP
    }
    tail[r] = 1 - mass > SMALLEST_TAIL ? 1 - mass : 0
    if (tail[r] > 0) entropy[r] += tail[r] * Math.log(tail[r])
  }

  const at = tf.tensor2d(places, [rows * k, 2], 'int32')
  const p = tf.tensor2d(logProbs.subarray(from * k, (from + rows) * k), [rows, k]).exp()
  const pTail = tf.tensor1d(tail)
  const logs = tf.logSumExp(logits, -1, true)
  const logQ = tf.gatherND(logits, at).reshape([rows, k]).sub(logs)
  const qTail = tf.maximum(tf.sub(1, logQ.exp().sum(1)), SMALLEST_TAIL)
  return {
    losses: tf.tensor1d(entropy).sub(p.mul(logQ).sum(1)).sub(pTail.mul(qTail.log())) as TfTensor,
    derivative() {
      // q·r outside the top k and q − p inside, with r = 1 − p_tail / q_tail
      const r = tf.sub(1, pTail.div(qTail)).expandDims(1)
      const inside = logQ.exp().mul(tf.sub(1, r)).sub(p)
      const everywhere = logits.sub(logs).exp().mul(r)
      return everywhere.add(
        tf.scatterND(at, inside.reshape([-1]), logits.shape as [number, number]),
      ) as TfTensor
    },
  }
}
