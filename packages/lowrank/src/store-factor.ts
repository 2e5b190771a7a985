import {
  allows,
  f16ToF32,
  f32ToF16,
  type Matrix,
  packBits,
  ReallmError,
  type Tensor,
  tensor,
} from '@reallm/tensor-io'
import { type FactorFormat, factorBits } from '@reallm/tensor-io/layouts'

export interface StoreOptions {
  /** Uniform noise in (−½, ½) of a step added before rounding (dithering); without it, to nearest. */
  readonly dither?: (() => number) | undefined
  /** Largest value as a multiple of the line's root mean square; absent: the multiple with the least error. */
  readonly clip?: number | undefined
}

/**
 * Stores a factor as `readFactor` reads it.
 *
 * @throws ReallmError `numeric` on NaN or values beyond half floats
 */
export function storeFactor(
  name: string,
  m: Matrix,
  format: FactorFormat,
  options: StoreOptions = {},
): Record<string, Tensor> {
  const { bits, along } = format
  checkBits(bits)
  if (bits === 16) return { [name]: tensor('F16', [m.rows, m.cols], finite(f32ToF16(m.data), name)) }
  const scales = finite(f32ToF16(scalesOf(m, format, options)), name)
  const steps = f16ToF32(scales)
  const codes = new Uint8Array(m.data.length)
  const top = 2 ** bits - 1
  for (let i = 0; i < codes.length; i++) {
    const line = along === 'rows' ? Math.floor(i / m.cols) : i % m.cols
    const x = steps[line] === 0 ? 0 : m.data[i] / steps[line]
    codes[i] = Math.min(top, Math.max(0, Math.round((x + top) / 2 + (options.dither?.() ?? 0))))
  }
  const packed = packBits(codes, bits)
  return {
    [name]: tensor('U8', [packed.length], packed),
    [`${name}_scale`]: tensor('F16', [scales.length], scales),
  }
}

const CLIPS = [1, 0.92, 0.84, 0.76, 0.68, 0.6, 0.52, 0.44, 0.36, 0.28]

function scalesOf(m: Matrix, { bits, along }: FactorFormat, { clip }: StoreOptions): Float32Array {
  const lines = along === 'rows' ? m.rows : m.cols
  const length = along === 'rows' ? m.cols : m.rows
  const top = 2 ** bits - 1
  const line = new Float32Array(length)
  return Float32Array.from({ length: lines }, (_, k) => {
    for (let i = 0; i < length; i++) line[i] = m.data[along === 'rows' ? k * m.cols + i : i * m.cols + k]
    if (clip !== undefined) {
      const rms = Math.sqrt(line.reduce((sum, v) => sum + v * v, 0) / length)
      return (clip * rms) / top
    }
    const largest = line.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
    if (bits > 6) return largest / top
    let best = 0
    let least = Number.POSITIVE_INFINITY
    for (const share of CLIPS) {
      const scale = (share * largest) / top
      const error = roundingError(line, scale, top)
      if (error < least) [least, best] = [error, scale]
    }
    return best
  })
}

function roundingError(line: Float32Array, scale: number, top: number): number {
  if (scale === 0) return 0
  let error = 0
  for (const v of line) {
    const code = Math.min(top, Math.max(0, Math.round((v / scale + top) / 2)))
    error += (v - scale * (2 * code - top)) ** 2
  }
  return error
}

function checkBits(bits: number): void {
  if (!allows(factorBits, bits)) {
    throw new ReallmError('bad-option', `a factor cannot be stored on ${bits} bits`, {
      hint: 'use 1 to 8, or 16',
    })
  }
}

function finite(halves: Uint16Array<ArrayBuffer>, name: string): Uint16Array<ArrayBuffer> {
  if (halves.some(code => (code & 0x7c00) === 0x7c00)) {
    throw new ReallmError('numeric', `${name} holds NaN or values beyond 65504`, {
      hint: 'look for NaN or infinities in the weights',
    })
  }
  return halves
}
