import { unpackBits } from '@reallm/tensor-io'
import type { InferenceKernels, Pointer } from '../inference/kernels.ts'
import { readHeader } from '../nerv-pack.ts'
import { attend } from './attention.ts'
import { floatAt, integerAt, padded } from './block-places.ts'
import { erf } from './erf.ts'
import { transformAxis } from './hadamard.ts'
import { loadPaged, placeOf, storePaged } from './kv-pages.ts'
import { nervForward } from './nerv.ts'
import { recur } from './recurrence.ts'
import { blockedTrellis } from './trellis-stream.ts'

/** Reference implementation of the inference module: the same operations on the same memory, one thread. */
export function referenceInference(memory: WebAssembly.Memory): InferenceKernels {
  const f32 = (at: Pointer, n: number) => new Float32Array(memory.buffer, at, n)
  const i16 = (at: Pointer, n: number) => new Int16Array(memory.buffer, at, n)
  const integers = (at: Pointer, n: number, bytes: number) =>
    bytes === 2 ? i16(at, n) : new Int8Array(memory.buffer, at, n)

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

  function integerProducts(product: IntegerProduct): void {
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

  return {
    matmulInteger(w, scales, x, xScales, y, rows, stride, group, tokens, ldy, accumulate, bytes) {
      const weights = integers(w, padded(rows) * stride, bytes)
      const sizes = { rows, stride, group, tokens, ldx: stride, ldy }
      integerProducts({ weights, scales, x, xScales, y, ...sizes, accumulate })
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

    quantiseActivations(x, ldx, out, scales, tokens, cols, stride) {
      const values = f32(x, (tokens - 1) * ldx + cols)
      const q = i16(out, tokens * stride)
      const s = f32(scales, tokens)
      q.fill(0)
      for (let t = 0; t < tokens; t++) {
        const row = values.subarray(t * ldx, t * ldx + cols)
        const top = largest(row)
        s[t] = top / 32767
        const inverse = Math.fround(top > 0 ? 32767 / top : 0)
        for (let c = 0; c < cols; c++) q[t * stride + c] = nearest(Math.fround(row[c] * inverse))
      }
    },

    quantiseWeights(x, out, scales, rows, cols, stride, group, firstRow, bytes) {
      const levels = bytes === 2 ? 4095 : 127
      const groups = Math.ceil(stride / group)
      const values = f32(x, rows * cols)
      const q = integers(out, padded(firstRow + rows) * stride, bytes)
      const s = f32(scales, (firstRow + rows) * groups)
      for (let r = 0; r < rows; r++) {
        for (let from = 0; from < cols; from += group) {
          const to = Math.min(cols, from + group)
          const top = largest(values.subarray(r * cols + from, r * cols + to))
          s[(firstRow + r) * groups + from / group] = top / levels
          const inverse = Math.fround(top > 0 ? levels / top : 0)
          for (let c = from; c < to; c++) {
            q[integerAt(firstRow + r, c, stride)] = nearest(Math.fround(values[r * cols + c] * inverse))
          }
        }
      }
    },

    packFloats(x, w, rows, cols, stride, firstRow) {
      const values = f32(x, rows * cols)
      const weights = f32(w, padded(firstRow + rows) * stride)
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) weights[floatAt(firstRow + r, c, stride)] = values[r * cols + c]
      }
    },

    integerRow(w, scales, row, out, cols, stride, group, factor, bytes) {
      const groups = Math.ceil(stride / group)
      const weights = integers(w, padded(row + 1) * stride, bytes)
      const s = f32(scales, (row + 1) * groups)
      const y = f32(out, cols)
      for (let c = 0; c < cols; c++) {
        y[c] = weights[integerAt(row, c, stride)] * s[row * groups + Math.floor(c / group)] * factor
      }
    },

    floatRow(w, row, out, cols, stride, factor) {
      const weights = f32(w, padded(row + 1) * stride)
      const y = f32(out, cols)
      for (let c = 0; c < cols; c++) y[c] = weights[floatAt(row, c, stride)] * factor
    },

    rmsNorm(x, w, out, rows, width, eps) {
      const values = f32(x, rows * width)
      const weights = f32(w, width)
      const y = f32(out, rows * width)
      for (let r = 0; r < rows; r++) {
        let squares = 0
        for (let i = 0; i < width; i++) squares += values[r * width + i] ** 2
        const factor = 1 / Math.sqrt(squares / width + eps)
        for (let i = 0; i < width; i++) y[r * width + i] = values[r * width + i] * factor * weights[i]
      }
    },

    gate(gates, up, count, kind) {
      const x = f32(gates, count)
      const u = f32(up, count)
      for (let i = 0; i < count; i++) {
        const z = kind === 1 ? 2 * Math.sqrt(2 / Math.PI) * (x[i] + 0.044715 * x[i] ** 3) : x[i]
        const share = kind === 2 ? 0.5 * (1 + erf(x[i] * Math.SQRT1_2)) : 1 / (1 + Math.exp(-z))
        x[i] = x[i] * share * u[i]
      }
    },

    rope(x, cos, sin, tokens, heads, headDim, pairs, interleaved) {
      const values = f32(x, tokens * heads * headDim)
      const c = f32(cos, tokens * pairs)
      const s = f32(sin, tokens * pairs)
      for (let t = 0; t < tokens; t++) {
        for (let h = 0; h < heads; h++) {
          for (let i = 0; i < pairs; i++) {
            const at = (t * heads + h) * headDim + (interleaved ? 2 * i : i)
            const other = at + (interleaved ? 1 : pairs)
            const [a, b] = [values[at], values[other]]
            values[at] = a * c[t * pairs + i] - b * s[t * pairs + i]
            values[other] = b * c[t * pairs + i] + a * s[t * pairs + i]
          }
        }
      }
    },

    recurrence(
      x,
      ldx,
      valueAt,
      keyAt,
      queryAt,
      matrices,
      left,
      write,
      y,
      tokens,
      heads,
      shared,
      keyDim,
      valueDim,
      isDelta,
    ) {
      recur(
        f32(x, tokens * ldx),
        f32(matrices, heads * keyDim * valueDim),
        f32(left, tokens * heads),
        f32(write, tokens * heads),
        f32(y, tokens * heads * valueDim),
        {
          ...{ ldx, valueAt, keyAt, queryAt, tokens, heads, shared, keyDim, valueDim },
          isDelta: isDelta !== 0,
        },
      )
    },

    attention(
      q,
      keys,
      values,
      out,
      tokens,
      heads,
      kvHeads,
      headDim,
      position,
      window,
      scale,
      softcap,
      _scores,
      _stride,
      sinks,
    ) {
      const count = (position + tokens) * kvHeads * headDim
      const sizes = { tokens, heads, kvHeads, headDim, position, window, scale, softcap }
      attend(
        f32(q, tokens * heads * headDim),
        f32(keys, count),
        f32(values, count),
        f32(out, tokens * heads * headDim),
        { ...sizes, sinks: sinks === 0 ? undefined : f32(sinks, heads) },
      )
    },

    appendToPages(keys, values, pages, tokens, kvHeads, headDim, position) {
      const count = tokens * kvHeads * headDim
      const [k, v] = [f32(keys, count), f32(values, count)]
      const addresses = new Uint32Array(memory.buffer, pages)
      for (let i = 0; i < tokens * kvHeads; i++) {
        const [t, h] = [Math.floor(i / kvHeads), i % kvHeads]
        const place = placeOf(addresses, position + t, h, headDim)
        storePaged(memory, place, 'key', k.subarray(i * headDim, (i + 1) * headDim))
        storePaged(memory, place, 'value', v.subarray(i * headDim, (i + 1) * headDim))
      }
    },

    pagedScratch: () => 0,

    pagedAttention(q, pages, out, tokens, heads, kvHeads, headDim, position, window, scale, softcap) {
      const rows = (position + tokens) * kvHeads
      const [k, v] = [new Float32Array(rows * headDim), new Float32Array(rows * headDim)]
      const addresses = new Uint32Array(memory.buffer, pages)
      for (let i = 0; i < rows; i++) {
        const place = placeOf(addresses, Math.floor(i / kvHeads), i % kvHeads, headDim)
        loadPaged(memory, place, 'key', k.subarray(i * headDim, (i + 1) * headDim))
        loadPaged(memory, place, 'value', v.subarray(i * headDim, (i + 1) * headDim))
      }
      const sizes = { tokens, heads, kvHeads, headDim, position, window, scale, softcap }
      attend(f32(q, tokens * heads * headDim), k, v, f32(out, tokens * heads * headDim), sizes)
    },

    packBytes(x, w, rows, cols, stride, firstRow) {
      const from = integers(x, rows * cols, 1)
      const to = integers(w, padded(firstRow + rows) * stride, 1)
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < cols; c++) to[integerAt(firstRow + r, c, stride)] = from[r * cols + c]
      }
    },

    butterflies(x, rows, width, order, inner) {
      transformAxis(f32(x, rows * width), [{ kind: 'sylvester', size: order }], inner)
    },

    mixDense(x, rows, width, order, inner, matrix) {
      const values = f32(x, rows * width)
      const m = f32(matrix, order * order)
      for (let block = 0; block < values.length; block += order * inner) {
        for (let c = 0; c < inner; c++) {
          const column = Float32Array.from({ length: order }, (_, j) => values[block + j * inner + c])
          for (let i = 0; i < order; i++) {
            values[block + i * inner + c] = column.reduce((sum, v, j) => sum + m[i * order + j] * v, 0)
          }
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
      integerProducts({ weights, scales, x, xScales, y, ...sizes, accumulate })
    },

    expandTrellis(codes, rows, cols, rowBytes, rates, tables, stateBits, w) {
      const weights = blockedTrellis(memory, { codes, rows, cols, rowBytes, rates, tables, stateBits })
      integers(w, weights.length, 1).set(weights)
    },

    nervScratch: () => 0,

    nerv(decoder, latents, count, side, layers, out) {
      // how long they are is not known here; the decoder takes what it needs
      const header = new Int32Array(memory.buffer, decoder, 16)
      const weights = new Float32Array(memory.buffer, layers)
      const { channels, stages } = readHeader(header)
      const own = { header: header.slice(0, 5 + stages), layers: weights }
      const pixels = nervForward(f32(latents, count * side * side * channels), count, side, own)
      f32(out, pixels.length).set(pixels)
    },

    copy(y, x, count) {
      f32(y, count).set(f32(x, count))
    },

    addInPlace(y, x, count) {
      const target = f32(y, count)
      f32(x, count).forEach((value, i) => {
        target[i] += value
      })
    },

    addScaled(y, x, count, factor) {
      const target = f32(y, count)
      f32(x, count).forEach((value, i) => {
        target[i] += factor * value
      })
    },

    addBias(x, bias, rows, width) {
      const b = f32(bias, width)
      const values = f32(x, rows * width)
      for (let i = 0; i < values.length; i++) values[i] += b[i % width]
    },

    multiplyRows(x, w, out, rows, width) {
      const weights = f32(w, width)
      const y = f32(out, rows * width)
      f32(x, rows * width).forEach((value, i) => {
        y[i] = value * weights[i % width]
      })
    },
  }
}

/** The largest absolute value, or the largest value when a floor below 0 is given. */
function largest(values: Float32Array | Float64Array, floor = 0): number {
  let top = floor
  for (const value of values) top = Math.max(top, floor === 0 ? Math.abs(value) : value)
  return top
}

/** Rounds half to even, as SIMD does. */
function nearest(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  if (rest !== 0.5) return Math.round(x)
  return floor % 2 === 0 ? floor : floor + 1
}
