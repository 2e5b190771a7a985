import { sylvester } from '../hadamard-plan.ts'
import type { InferenceKernels } from '../inference/kernels.ts'
import { attend } from './attention.ts'
import { erf } from './erf.ts'
import { loadPaged, placeOf, storePaged } from './kv-pages.ts'
import { referenceProducts } from './products.ts'
import { recur } from './recurrence.ts'
import { viewsOf } from './views.ts'
import { referenceWeights } from './weights.ts'

/** Reference implementation of the inference module: the same operations on the same memory, one thread. */
export function referenceInference(memory: WebAssembly.Memory): InferenceKernels {
  const { f32 } = viewsOf(memory)

  return {
    ...referenceProducts(memory),
    ...referenceWeights(memory),

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

    rotate(x, y, ldy, rows, width, signs, isInput, accumulate, factors, count) {
      const by = f32(signs, width)
      const words = new Uint32Array(memory.buffer, factors, 3 * count)
      for (let r = 0; r < rows; r++) {
        const to = f32(y + 4 * r * ldy, width)
        let row = f32(x + 4 * r * width, width).map((v, i) => (isInput ? v * by[i] : v))
        for (let f = 0; f < words.length; f += 3) {
          const [order, inner, matrix] = words.subarray(f, f + 3)
          const entry = matrix
            ? (i: number, j: number) => f32(matrix, order * order)[i * order + j]
            : sylvester
          row = row.map((_, at) => {
            const i = Math.floor(at / inner) % order
            let sum = 0
            for (let j = 0; j < order; j++) sum += entry(i, j) * row[at + (j - i) * inner]
            return sum
          })
        }
        for (const [i, v] of row.entries())
          to[i] = isInput ? v : (accumulate ? to[i] : 0) + Math.fround(v * by[i])
      }
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

    multiplyRows(x, w, y, ldy, rows, width, accumulate) {
      const weights = f32(w, width)
      const out = f32(y, (rows - 1) * ldy + width)
      f32(x, rows * width).forEach((value, i) => {
        const at = Math.floor(i / width) * ldy + (i % width)
        out[at] = (accumulate ? out[at] : 0) + Math.fround(value * weights[i % width])
      })
    },
  }
}
