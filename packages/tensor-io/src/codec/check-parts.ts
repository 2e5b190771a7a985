import { shapeText } from '../core/check.ts'
import { byteLength } from '../core/dtype.ts'
import { ReallmError } from '../core/errors.ts'
import { sizeOf } from '../core/tensor.ts'
import type { EncodedMatrix, StorageCost } from './codec.ts'

/** Throws `bad-tensor` unless the stored tensors are those that `cost` names, with its dtypes and shapes. */
export function checkParts(e: EncodedMatrix, cost: StorageCost): void {
  for (const [name, { dtype, shape }] of Object.entries(cost)) {
    const part = e.parts[name]
    const problem = !part
      ? 'is missing'
      : part.dtype !== dtype || String(part.shape) !== String(shape)
        ? `is ${part.dtype} [${part.shape}], not ${dtype} [${shape}]`
        : part.data.byteLength !== byteLength(dtype, sizeOf(shape))
          ? `holds ${part.data.byteLength} bytes, not ${byteLength(dtype, sizeOf(shape))}`
          : undefined
    if (problem) {
      throw new ReallmError('bad-tensor', `${e.codec} ${shapeText(e.shape)}: the part ${name} ${problem}`, {
        hint: 'the file was cut or altered: fetch or compress it again',
      })
    }
  }
}
