import { unpackBits } from '@reallm/tensor-io'
import type { InferenceKernels, Pointer, TrellisKernels } from '../inference/kernels.ts'
import { floatAt, integerAt, padded } from './block-places.ts'
import { blockedTrellis } from './trellis-stream.ts'
import { viewsOf } from './views.ts'

/** Products of activations with stored weights. */
export function referenceProducts(
  memory: WebAssembly.Memory,
): Pick<InferenceKernels, 'matmulInteger' | 'matmulFloat' | 'matmulCodes'> {
  const { f32, integers } = viewsOf(memory)

  interface Product {
    readonly x: Pointer
    readonly ldx: number
    readonly y: Pointer
    readonly ldy: number
    readonly tokens: number
    readonly rows: number
    readonly cols: number
    readonly accumulate: number
    row(r: number): Float32Array
  }

  function products({ x, ldx, y, ldy, tokens, rows, cols, accumulate, row }: Product): void {
    const values = f32(x, (tokens - 1) * ldx + cols)
    const out = f32(y, (tokens - 1) * ldy + rows)
    for (let r = 0; r < rows; r++) {
      const w = row(r)
      for (let t = 0; t < tokens; t++) {
        const sum = w.reduce((total, weight, c) => total + weight * values[t * ldx + c], 0)
        out[t * ldy + r] = sum + (accumulate ? out[t * ldy + r] : 0)
      }
    }
  }

  return {
    matmulInteger(w, scales, x, xScales, y, rows, stride, group, tokens, ldy, accumulate, bytes) {
      const weights = integers(w, padded(rows) * stride, bytes)
      const sizes = { rows, stride, group, tokens, ldx: stride, ldy }
      integerProducts(memory, { weights, scales, x, xScales, y, ...sizes, accumulate })
    },

    matmulFloat(w, x, ldx, y, ldy, rows, stride, tokens, accumulate, factor) {
      const weights = f32(w, padded(rows) * stride)
      const values = f32(x, (tokens - 1) * ldx + stride)
      const out = f32(y, (tokens - 1) * ldy + rows)
      for (let t = 0; t < tokens; t++) {
        for (let r = 0; r < rows; r++) {
          let sum = 0
          for (let c = 0; c < stride; c++) sum += weights[floatAt(r, c, stride)] * values[t * ldx + c]
          out[t * ldy + r] = sum * factor + (accumulate ? out[t * ldy + r] : 0)
        }
      }
    },

    matmulCodes(
      x,
      ldx,
      y,
      ldy,
      tokens,
      rows,
      cols,
      accumulate,
      _panel,
      codes,
      codeBytes,
      bits,
      dim,
      table,
      scales,
      shifts,
      group,
    ) {
      const stored = new Uint8Array(memory.buffer, codes, rows * codeBytes)
      const values = f32(table, dim << bits)
      const perRow = cols / group
      const s = f32(scales, rows * perRow)
      const z = shifts ? f32(shifts, rows * perRow) : undefined
      const row = (r: number) => {
        const numbers = unpackBits(stored.subarray(r * codeBytes, (r + 1) * codeBytes), bits, cols / dim)
        return Float32Array.from({ length: cols }, (_, c) => {
          const g = r * perRow + Math.floor(c / group)
          return s[g] * (values[numbers[Math.floor(c / dim)] * dim + (c % dim)] - (z?.[g] ?? 0))
        })
      }
      products({ x, ldx, y, ldy, tokens, rows, cols, accumulate, row })
    },
  }
}

/** Reference implementation of products with trellis codes. */
export const referenceTrellis = (memory: WebAssembly.Memory): TrellisKernels => ({
  matmulTrellis(
    codes,
    scales,
    x,
    xScales,
    y,
    rows,
    cols,
    group,
    tokens,
    ldx,
    ldy,
    accumulate,
    ...[rowBytes, rates, tables, stateBits]
  ) {
    const weights = blockedTrellis(memory, { codes, rows, cols, rowBytes, rates, tables, stateBits })
    const sizes = { rows, stride: cols, group, tokens, ldx, ldy }
    integerProducts(memory, { weights, scales, x, xScales, y, ...sizes, accumulate })
  },
})

interface IntegerProduct {
  readonly weights: Int8Array | Int16Array
  readonly scales: Pointer
  readonly x: Pointer
  readonly xScales: Pointer
  readonly y: Pointer
  readonly rows: number
  readonly stride: number
  readonly group: number
  readonly tokens: number
  readonly ldx: number
  readonly ldy: number
  readonly accumulate: number
}

function integerProducts(memory: WebAssembly.Memory, product: IntegerProduct): void {
  const { f32, i16 } = viewsOf(memory)
  const { weights, scales, x, xScales, y, rows, stride, group, tokens, ldx, ldy, accumulate } = product
  const groups = Math.ceil(stride / group)
  const s = f32(scales, padded(rows) * groups)
  const values = i16(x, (tokens - 1) * ldx + stride)
  const xs = f32(xScales, tokens)
  const out = f32(y, (tokens - 1) * ldy + rows)
  for (let t = 0; t < tokens; t++) {
    for (let r = 0; r < rows; r++) {
      let total = 0
      for (let g = 0; g < groups; g++) {
        let sum = 0
        for (let c = g * group; c < Math.min(stride, (g + 1) * group); c++) {
          sum += weights[integerAt(r, c, stride)] * values[t * ldx + c]
        }
        total += sum * s[r * groups + g]
      }
      out[t * ldy + r] = total * xs[t] + (accumulate ? out[t * ldy + r] : 0)
    }
  }
}
