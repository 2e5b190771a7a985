import { type EncodedMatrix, type Tensor, tensorBytes, zeros } from '@reallm/tensor-io'

/**
 * Bands of a matrix's rows put together: the named parts below each other, the others as every band has them.
 *
 * @param stacked parts whose first axis follows the rows
 */
export function joinRows(bands: readonly EncodedMatrix[], stacked: readonly string[]): EncodedMatrix {
  const [first] = bands
  const rows = bands.reduce((sum, { shape }) => sum + shape[0], 0)
  const joined = stacked
    .filter(part => part in first.parts)
    .map(part => [part, below(bands.map(({ parts }) => parts[part]))] as const)
  return { ...first, shape: [rows, first.shape[1]], parts: { ...first.parts, ...Object.fromEntries(joined) } }
}

function below(tensors: readonly Tensor[]): Tensor {
  const [{ dtype, shape }] = tensors
  const rows = tensors.reduce((sum, { shape }) => sum + shape[0], 0)
  const whole = zeros(dtype, [rows, ...shape.slice(1)])
  const bytes = tensorBytes(whole)
  let at = 0
  for (const each of tensors) {
    bytes.set(tensorBytes(each), at)
    at += each.data.byteLength
  }
  return whole
}
