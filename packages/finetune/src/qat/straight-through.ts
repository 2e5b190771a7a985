import { type TfTensor, tf } from '@reallm/transformer'

/** `clip(round(v), low, high)`; the gradient passes where `v` is not clipped (straight-through estimator). */
export const roundClip = (v: TfTensor, low: number, high: number): TfTensor =>
  tf.customGrad((x, save) => {
    ;(save as (tensors: TfTensor[]) => void)([x as TfTensor])
    return {
      value: tf.clipByValue(tf.round(x as TfTensor), low, high),
      gradFunc: (dy: TfTensor, [x]: TfTensor[]) =>
        dy.mul(tf.logicalAnd(x.greaterEqual(low - 0.5), x.lessEqual(high + 0.5)).cast('float32')) as TfTensor,
    }
  })(v)

/** −1 or 1 by the sign of `v`; the gradient passes as it is. */
export const signs = (v: TfTensor): TfTensor =>
  tf.customGrad(x => ({
    value: tf.sub(tf.mul(tf.greaterEqual(x as TfTensor, 0).cast('float32'), 2), 1) as TfTensor,
    gradFunc: (dy: TfTensor) => dy.clone(),
  }))(v)
