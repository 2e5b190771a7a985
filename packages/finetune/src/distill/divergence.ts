import { type TfTensor, tf } from '@reallm/transformer'

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
 * KL(teacher ‖ student) per position, in nats, `[n]`; everything outside the teacher's top k counts as one event.
 * Student logits `[n, vocabulary]`. Differentiable in the logits.
 */
export function divergence(logits: TfTensor, { k, ids, logProbs }: TopK): TfTensor {
  const rows = logits.shape[0]
  const places = new Int32Array(rows * k * 2)
  const entropy = new Float32Array(rows)
  const tail = new Float32Array(rows)
  for (let r = 0; r < rows; r++) {
    let mass = 0
    for (let j = r * k; j < (r + 1) * k; j++) {
      places[2 * j] = r
      places[2 * j + 1] = ids[j]
      const p = Math.exp(logProbs[j])
      mass += p
      entropy[r] += p * logProbs[j]
    }
    tail[r] = 1 - mass > SMALLEST_TAIL ? 1 - mass : 0
    if (tail[r] > 0) entropy[r] += tail[r] * Math.log(tail[r])
  }
  const shape = [rows, logits.shape[1]] as [number, number]

  return tf.customGrad((x, save) => {
    const at = tf.tensor2d(places, [rows * k, 2], 'int32')
    const p = tf.tensor2d(logProbs, [rows, k]).exp()
    const pTail = tf.tensor1d(tail)
    const logQ = tf.sub(
      tf.gatherND(x as TfTensor, at).reshape([rows, k]),
      tf.logSumExp(x as TfTensor, -1, true),
    )
    const qTail = tf.maximum(tf.sub(1, logQ.exp().sum(1)), SMALLEST_TAIL)
    const value = tf.tensor1d(entropy).sub(p.mul(logQ).sum(1)).sub(pTail.mul(qTail.log())) as TfTensor
    ;(save as (tensors: TfTensor[]) => void)([
      x as TfTensor,
      at,
      p,
      pTail,
      logQ as TfTensor,
      qTail as TfTensor,
    ])
    return {
      value,
      gradFunc: (dy: TfTensor, saved: TfTensor[]) => {
        const [x, at, p, pTail, logQ, qTail] = saved
        // d/dx = q·r outside the top k and q − p inside, with r = 1 − p_tail / q_tail
        const r = tf.sub(1, pTail.div(qTail)).expandDims(1)
        const q = logQ.exp()
        const inside = q.sub(p).sub(q.mul(r)).mul(dy.expandDims(1))
        const everywhere = tf.softmax(x).mul(r.mul(dy.expandDims(1)))
        return everywhere.add(tf.scatterND(at, inside.reshape([-1]), shape)) as TfTensor
      },
    }
  })(logits)
}
