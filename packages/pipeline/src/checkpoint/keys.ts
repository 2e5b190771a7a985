import {
  bytesSource,
  type EncodedMatrix,
  encodedFromBytes,
  encodedToBytes,
  encodeSafetensors,
  type Matrix,
  openSafetensors,
  type Tensor,
  tensor,
  toFloat32,
} from '@reallm/tensor-io'
import type * as z from 'zod'

/** A value of a checkpoint: the file it lies in, and how it becomes bytes and is read back. */
export interface Key<T> {
  readonly file: string
  encode(value: T): Uint8Array | string
  /** Throws for anything that `encode` does not make. */
  decode(bytes: Uint8Array<ArrayBuffer>): T | Promise<T>
}

/** Plain data, checked by a schema when it is read. */
export const jsonKey = <T>(file: string, schema: z.ZodType<T>): Key<T> => ({
  file,
  encode: value => JSON.stringify(value),
  decode: bytes => schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))),
})

/** Tensors by name. */
const tensorsKey = (file: string): Key<Readonly<Record<string, Tensor>>> => ({
  file,
  encode: tensors => encodeSafetensors(tensors),
  async decode(bytes) {
    const opened = await openSafetensors(bytesSource(file, bytes))
    const tensors: Record<string, Tensor> = {}
    for (const name of opened.tensors.keys()) tensors[name] = await opened.read(name)
    return tensors
  },
})

/** A value that is kept as tensors. */
export function mappedKey<T>(
  file: string,
  to: (value: T) => Readonly<Record<string, Tensor>>,
  from: (tensors: Readonly<Record<string, Tensor>>) => T,
): Key<T> {
  const key = tensorsKey(file)
  return {
    file,
    encode: value => key.encode(to(value)),
    decode: async bytes => from(await key.decode(bytes)),
  }
}

/** Float32 values as a tensor. */
export const floats = (shape: readonly number[], values: Float32Array): Tensor =>
  tensor('F32', shape, values as Float32Array<ArrayBuffer>)

/** A matrix in float32. */
export const matrixKey = (file: string): Key<Matrix> =>
  mappedKey(
    file,
    ({ rows, cols, data }) => ({ matrix: floats([rows, cols], data) }),
    ({ matrix }) => ({ rows: matrix.shape[0], cols: matrix.shape[1], data: toFloat32(matrix) }),
  )

export const encodedKey = (file: string): Key<EncodedMatrix> => ({
  file,
  encode: encodedToBytes,
  decode: bytes => encodedFromBytes(file, bytes),
})
