import { type EncodeContext, f16ToF32, f32ToF16, ReallmError, type Tensor, tensor } from '@reallm/tensor-io'
import { SCALE_BLOCK, type ScaleFormat, secondLevel } from '@reallm/tensor-io/layouts'

/** Values at or below which f16 loses precision. */
const F16_SMALLEST_NORMAL = 2 ** -14

/** Scales in their stored precision. */
export interface Scales {
  /** What the stored scales decode to, in the order of the initial ones. */
  readonly values: Float32Array
  /** Stores another value in place of scale `i`, as near as the format allows. */
  set(i: number, value: number): void
  parts(): Record<string, Tensor>
}

/**
 * Stores scales (≥ 0) in a format.
 *
 * @param initial `[rows, perRow]`, row by row
 * @param of a band of rows may be smaller than f16 holds precisely
 * @throws ReallmError `numeric` when f16 cannot hold them
 */
export function createScales(
  format: ScaleFormat,
  initial: Float32Array,
  rows: number,
  of: Pick<EncodeContext, 'isBand'> = {},
): Scales {
  const shape = [rows, initial.length / rows]
  if (format === 'f32') {
    const values = initial.slice()
    return {
      values,
      set: (i, value) => {
        values[i] = value
      },
      parts: () => ({ scales: tensor('F32', shape, values) }),
    }
  }
  return format === 'f16'
    ? halfScales(initial, shape, of.isBand ? 0 : F16_SMALLEST_NORMAL)
    : doubleScales(initial, shape)
}

function halfScales(initial: Float32Array, shape: number[], least: number): Scales {
  const largest = initial.reduce((max, v) => Math.max(max, v), 0)
  if (largest > 65504 || (largest > 0 && largest < least)) {
    throw new ReallmError('numeric', `scales up to ${largest.toPrecision(3)} do not fit f16`, {
      hint: "store them with scales: 'f32' or 'double'",
    })
  }
  const codes = f32ToF16(initial)
  const values = f16ToF32(codes)
  return {
    values,
    set(i, value) {
      codes[i] = f32ToF16(Float32Array.of(Math.min(value, 65504)))[0]
      values[i] = f16ToF32(codes.subarray(i, i + 1))[0]
    },
    parts: () => ({ scales: tensor('F16', shape, codes) }),
  }
}

function doubleScales(initial: Float32Array, shape: number[]): Scales {
  const count = initial.length
  const blocks = new Float32Array(2 * Math.ceil(count / SCALE_BLOCK))
  for (let b = 0; 2 * b < blocks.length; b++) {
    const block = initial.subarray(b * SCALE_BLOCK, (b + 1) * SCALE_BLOCK)
    const low = block.reduce((min, v) => Math.min(min, v), Number.POSITIVE_INFINITY)
    const high = block.reduce((max, v) => Math.max(max, v), 0)
    blocks[2 * b] = low
    blocks[2 * b + 1] = (high - low) / 255
  }
  const codes = new Uint8Array(count)
  const values = new Float32Array(count)
  const set = (i: number, value: number) => {
    const b = 2 * Math.floor(i / SCALE_BLOCK)
    const step = blocks[b + 1]
    codes[i] = step === 0 ? 0 : Math.max(0, Math.min(255, Math.round((value - blocks[b]) / step)))
    values[i] = secondLevel(codes[i], blocks, i)
  }
  for (let i = 0; i < count; i++) set(i, initial[i])
  return {
    values,
    set,
    parts: () => ({
      scales: tensor('U8', shape, codes),
      scaleBlocks: tensor('F32', [blocks.length / 2, 2], blocks),
    }),
  }
}
