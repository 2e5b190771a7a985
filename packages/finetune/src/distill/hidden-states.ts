import { type TfTensor, tf } from '@reallm/transformer'

type Save = (tensors: TfTensor[]) => void

/** Rows of length 1, `[…, hidden]` → `[positions, hidden]`. */
export function directions(states: TfTensor): TfTensor {
  return tf.tidy(() => {
    const rows = states.reshape([-1, states.shape.at(-1)!])
    return rows.div(lengthsOf(rows))
  })
}

/**
 * `Σ weights · ‖q/‖q‖ − t‖²` over positions: how far the directions of hidden states q, `[…, hidden]`, are from a
 * teacher's t, `[positions, hidden]` (OneBit's term on hidden states, arXiv 2402.11295). Differentiable in q. The backward
 * pass keeps q only and asks for t again.
 *
 * @example
 * const far = directionLoss(states, () => directions(teacherStates), new Float32Array([1, 1, 0]))
 */
export function directionLoss(q: TfTensor, teacher: () => TfTensor, weights: Float32Array): TfTensor {
  return tf.customGrad((...given: unknown[]) => {
    const [rows, save] = given as [TfTensor, Save]
    save([rows])
    const value = tf.tidy(() => {
      const distances = directions(rows).sub(teacher()).square().sum(1)
      return distances.mul(tf.tensor1d(weights)).sum() as TfTensor
    })
    return { value, gradFunc: (dy: TfTensor, [rows]: TfTensor[]) => tf.tidy(() => backward(dy, rows)) }
  })(q.reshape([-1, q.shape.at(-1)!]))

  function backward(dy: TfTensor, rows: TfTensor): TfTensor {
    const unit = directions(rows)
    const slope = unit.sub(teacher()).mul(tf.tensor1d(weights).mul(2).expandDims(1)).mul(dy)
    // only the part across the direction changes it
    const along = unit.mul(slope).sum(1, true)
    return slope.sub(unit.mul(along)).div(lengthsOf(rows)) as TfTensor
  }
}

const lengthsOf = (rows: TfTensor): TfTensor => rows.square().sum(1, true).sqrt().add(1e-12) as TfTensor
