/** Element types in safetensors' names. Sub-byte codes are stored packed, in U8 tensors. */
export const dtypes = {
  F64: { bytes: 8, storage: Float64Array },
  F32: { bytes: 4, storage: Float32Array },
  F16: { bytes: 2, storage: Uint16Array },
  BF16: { bytes: 2, storage: Uint16Array },
  F8_E4M3: { bytes: 1, storage: Uint8Array },
  F8_E5M2: { bytes: 1, storage: Uint8Array },
  I64: { bytes: 8, storage: BigInt64Array },
  I32: { bytes: 4, storage: Int32Array },
  I16: { bytes: 2, storage: Int16Array },
  I8: { bytes: 1, storage: Int8Array },
  U64: { bytes: 8, storage: BigUint64Array },
  U32: { bytes: 4, storage: Uint32Array },
  U16: { bytes: 2, storage: Uint16Array },
  U8: { bytes: 1, storage: Uint8Array },
  BOOL: { bytes: 1, storage: Uint8Array },
} as const

/** The name of how a number is stored. */
export type DType = keyof typeof dtypes
/** The typed array that holds a dtype's stored form. */
export type Storage<D extends DType = DType> = InstanceType<(typeof dtypes)[D]['storage']>

/** Bytes that `count` elements of a dtype take. */
export const byteLength = (dtype: DType, count: number): number => dtypes[dtype].bytes * count

/** Views a whole buffer as the storage of a dtype. */
export function storageOf<D extends DType>(dtype: D, buffer: ArrayBufferLike): Storage<D> {
  const View: new (buffer: ArrayBufferLike) => Storage = dtypes[dtype].storage
  return new View(buffer) as Storage<D>
}
