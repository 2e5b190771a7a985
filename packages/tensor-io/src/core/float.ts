import type { DType, Storage } from './dtype.ts'
import { dtypes } from './dtype.ts'
import { ReallmError } from './errors.ts'
import { type Matrix, matrix, type Tensor } from './tensor.ts'

/** A floating-point format of 8 or 16 bits: mantissa bits, exponent bias, first code that is no number, code of NaN. */
interface SmallFloat {
  readonly mantissa: number
  readonly bias: number
  /** What overflow becomes: infinity, or NaN where the format has no infinity. */
  readonly overflow: number
  readonly nan: number
  readonly sign: number
  /** Highest exponent is an ordinary one (E4M3FN). */
  readonly finite: boolean
}

const F16: SmallFloat = { mantissa: 10, bias: 15, overflow: 0x7c00, nan: 0x7e00, sign: 15, finite: false }
const E5M2: SmallFloat = { mantissa: 2, bias: 15, overflow: 0x7c, nan: 0x7f, sign: 7, finite: false }
const E4M3: SmallFloat = { mantissa: 3, bias: 7, overflow: 0x7f, nan: 0x7f, sign: 7, finite: true }

/** IEEE half floats as raw 16-bit codes → float32. */
export const f16ToF32 = (codes: Uint16Array): Float32Array<ArrayBuffer> => lookUp(codes, tableOf(F16))

/** The values of all 65536 half floats, by their code. */
export const f16Table = (): Float32Array => tableOf(F16)

/** float32 → half floats, rounded to nearest even; overflow becomes infinity. */
export const f32ToF16 = (values: Float32Array): Uint16Array<ArrayBuffer> =>
  round(values, F16, new Uint16Array(values.length))

/** bfloat16 as raw 16-bit codes → float32. */
export function bf16ToF32(codes: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(codes.length)
  for (let i = 0; i < codes.length; i++) bits[i] = codes[i] << 16
  return new Float32Array(bits.buffer)
}

/** float32 → bfloat16, rounded to nearest even; NaN stays NaN. */
export function f32ToBf16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const codes = new Uint16Array(values.length)
  for (let i = 0; i < codes.length; i++) {
    const x = bits[i]
    const nan = (x & 0x7fffffff) > 0x7f800000
    codes[i] = nan ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16
  }
  return codes
}

/** float8 E4M3FN (no infinities, largest 448) → float32. */
export const e4m3ToF32 = (codes: Uint8Array): Float32Array<ArrayBuffer> => lookUp(codes, tableOf(E4M3))

/** float32 → float8 E4M3FN, rounded to nearest even; what rounds beyond 448 becomes NaN, as in PyTorch. */
export const f32ToE4m3 = (values: Float32Array): Uint8Array<ArrayBuffer> =>
  round(values, E4M3, new Uint8Array(values.length))

/** float8 E5M2 → float32. */
export const e5m2ToF32 = (codes: Uint8Array): Float32Array<ArrayBuffer> => lookUp(codes, tableOf(E5M2))

/** float32 → float8 E5M2, rounded to nearest even; overflow becomes infinity. */
export const f32ToE5m2 = (values: Float32Array): Uint8Array<ArrayBuffer> =>
  round(values, E5M2, new Uint8Array(values.length))

/** Values of a tensor as float32; an F32 tensor's data is returned as it is, not copied. */
export function toFloat32(t: Tensor): Float32Array<ArrayBuffer> {
  switch (t.dtype) {
    case 'F32':
      return t.data as Float32Array<ArrayBuffer>
    case 'F16':
      return f16ToF32(t.data as Uint16Array)
    case 'BF16':
      return bf16ToF32(t.data as Uint16Array)
    case 'F8_E4M3':
      return e4m3ToF32(t.data as Uint8Array)
    case 'F8_E5M2':
      return e5m2ToF32(t.data as Uint8Array)
    case 'I64':
    case 'U64':
      return Float32Array.from(t.data as BigInt64Array, Number)
    default:
      return Float32Array.from(t.data as Uint8Array)
  }
}

/**
 * The stored form of float32 values in any dtype: floats rounded to nearest even, integers rounded and clamped
 * to their range, BOOL 1 where the value is not zero. F32 data is returned as it is, not copied.
 *
 * @example
 * tensor('BF16', [2], fromFloat32('BF16', Float32Array.of(1, 2)))
 */
export function fromFloat32<D extends DType>(dtype: D, values: Float32Array): Storage<D>
export function fromFloat32(dtype: DType, values: Float32Array): Storage {
  switch (dtype) {
    case 'F32':
      return values as Storage<'F32'>
    case 'F64':
      return Float64Array.from(values)
    case 'F16':
      return f32ToF16(values)
    case 'BF16':
      return f32ToBf16(values)
    case 'F8_E4M3':
      return f32ToE4m3(values)
    case 'F8_E5M2':
      return f32ToE5m2(values)
    case 'BOOL':
      return Uint8Array.from(values, v => (v === 0 ? 0 : 1))
    default:
      return toIntegers(dtype, values)
  }
}

/** A 2-dimensional tensor as a float32 matrix; an F32 tensor's data is not copied. Throws `bad-tensor` otherwise. */
export function toMatrix(t: Tensor): Matrix {
  if (t.shape.length !== 2) {
    throw new ReallmError(
      'bad-tensor',
      `a matrix has two axes, this ${t.dtype} tensor has shape [${t.shape}]`,
    )
  }
  return matrix(toFloat32(t), [t.shape[0], t.shape[1]])
}

type IntegerType = 'I64' | 'I32' | 'I16' | 'I8' | 'U64' | 'U32' | 'U16' | 'U8'

function toIntegers(dtype: IntegerType, values: Float32Array): Storage {
  const bits = 8 * dtypes[dtype].bytes
  const signed = dtype[0] === 'I'
  const low = signed ? -(2 ** (bits - 1)) : 0
  const high = 2 ** (signed ? bits - 1 : bits) - 1
  const clamp = (v: number) => Math.min(high, Math.max(low, Math.round(v) || 0))
  if (dtype === 'I64' || dtype === 'U64') {
    const asBig = (v: number) => (v >= high ? 2n ** BigInt(signed ? 63 : 64) - 1n : BigInt(clamp(v)))
    return dtype === 'I64' ? BigInt64Array.from(values, asBig) : BigUint64Array.from(values, asBig)
  }
  const data = new dtypes[dtype].storage(values.length)
  for (let i = 0; i < values.length; i++) data[i] = clamp(values[i])
  return data
}

/** Rounding by integer arithmetic on the float's bits; subnormals by adding a power of two whose last bit is theirs. */
function round<T extends Uint8Array | Uint16Array>(values: Float32Array, format: SmallFloat, codes: T): T {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  const { mantissa, bias, overflow, nan, sign } = format
  const shift = 23 - mantissa
  const half = (1 << (shift - 1)) - 1 - ((127 - bias) << 23)
  const smallestNormal = (128 - bias) << 23
  const magic = new Float32Array([2 ** (24 - bias - mantissa)])
  const magicBits = new Uint32Array(magic.buffer)[0]
  const sum = new Float32Array(1)
  const sumBits = new Uint32Array(sum.buffer)
  for (let i = 0; i < codes.length; i++) {
    const x = bits[i]
    const a = x & 0x7fffffff
    let code: number
    if (a > 0x7f800000) {
      code = nan
    } else if (a < smallestNormal) {
      sum[0] = Math.abs(values[i]) + magic[0]
      code = sumBits[0] - magicBits
    } else {
      code = (a + half + ((a >>> shift) & 1)) >>> shift
      if (code > overflow) code = overflow
    }
    codes[i] = code | ((x >>> 31) << sign)
  }
  return codes
}

const tables = new WeakMap<SmallFloat, Float32Array>()

function tableOf(format: SmallFloat): Float32Array {
  let table = tables.get(format)
  if (!table) {
    table = Float32Array.from({ length: 2 << format.sign }, (_, code) => valueAt(code, format))
    tables.set(format, table)
  }
  return table
}

function valueAt(code: number, { mantissa, bias, nan, sign, finite }: SmallFloat): number {
  const minus = code >>> sign ? -1 : 1
  const magnitude = code & ((1 << sign) - 1)
  const exponent = magnitude >>> mantissa
  const fraction = (magnitude & ((1 << mantissa) - 1)) / (1 << mantissa)
  const highest = (1 << (sign - mantissa)) - 1
  if (finite ? magnitude === nan : exponent === highest) {
    return fraction === 0 && !finite ? minus * Number.POSITIVE_INFINITY : Number.NaN
  }
  return minus * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias))
}

function lookUp(codes: Uint8Array | Uint16Array, table: Float32Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(codes.length)
  for (let i = 0; i < values.length; i++) values[i] = table[codes[i]]
  return values
}
