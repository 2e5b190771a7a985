import { stepBits } from '@reallm/tensor-io/layouts/trellis-tiles'
import type { ViterbiOptions } from '../trellis-code.ts'

const NO_PATH = 65535
/** Any difference of two int16. */
const EVERY = 65535

/** Factor that brings a table to the range of int16. */
export const lutScale = (lut: Float32Array): number => {
  const most = lut.reduce((a, v) => Math.max(a, Math.abs(v)), 0)
  return most > 0 ? Math.fround(32767 / most) : 0
}

/** A table in int16. */
export const scaledLut = (lut: Float32Array, scale: number): Int16Array =>
  Int16Array.from(lut, v => roundEven(Math.fround(v * Math.fround(scale))))

/** Reference implementation of the wasm kernel in the same integer arithmetic: both choose the same paths. */
export function viterbi(values: Float32Array, options: ViterbiOptions): Uint16Array {
  const { bits, lut, length = 256, tailBiting = true, weights } = options
  const scale = lutScale(lut)
  const fine = scaledLut(lut, scale)
  const states = new Uint16Array(values.length)
  const search = createSearch(bits, lut.length, length)
  const low = Math.floor(bits)
  const half = Math.min(length >> 1, 8 * Math.ceil(Math.log2(lut.length) / low))
  for (let from = 0; from < values.length; from += length) {
    const x = values.subarray(from, from + length)
    const w = weights?.subarray(from, from + length)
    const most = w?.reduce((a, v) => Math.max(a, v), 0) ?? 0
    const importance = w && scaled(w, most > 0 ? 32767 / most : 0, 32767)
    const path = states.subarray(from, from + length)
    let overlap: number | undefined
    if (tailBiting) {
      const seam = scaled(aroundSeam(x, half), scale, 32767)
      search(fine, seam, importance && aroundSeam(importance, half), path)
      overlap = path[half - 1] & ((lut.length >> low) - 1)
    }
    if (search(fine, scaled(x, scale, 32767), importance, path, overlap, largestTold(bits))) continue
    // Differences of an eighth cannot saturate, whatever the path.
    search(scaledLut(lut, scale / 8), scaled(x, scale / 8, 4096), importance, path, overlap)
  }
  return states
}

function aroundSeam<T extends Float32Array | Int16Array>(x: T, half: number): T {
  const out = x.slice(0, 2 * half) as T
  out.set(x.subarray(x.length - half))
  out.set(x.subarray(0, half), half)
  return out
}

function scaled(x: Float32Array, scale: number, limit: number): Int16Array {
  const factor = Math.fround(scale)
  return Int16Array.from(x, v => Math.max(-limit, Math.min(limit, roundEven(Math.fround(v * factor)))))
}

/** Nearest integer, ties to even. */
function roundEven(v: number): number {
  const r = Math.round(v)
  return r - v === 0.5 && r % 2 !== 0 ? r - 1 : r
}

const clamp16 = (v: number): number => Math.max(-32768, Math.min(32767, v))

/** Product of 15-bit fractions, rounded. */
const multiply15 = (a: number, b: number): number => Math.min(32767, (a * b + 0x4000) >> 15)

/** Largest difference that a step's cost can tell from larger ones; at low rates every one that there is. */
const largestTold = (bits: number): number => (bits > 4 ? 4095 : bits > 2 ? 16383 : EVERY)

function createSearch(bits: number, size: number, longest: number) {
  const most = size >> Math.floor(bits)
  const choices = new Uint8Array(longest * most)
  let cost = new Uint16Array(size)
  let next = new Uint16Array(size)
  const best = new Uint16Array(most)
  const factor = bits > 4 ? 8 : bits > 2 ? 2 : 1

  return (
    lut: Int16Array,
    x: Int16Array,
    w: Int16Array | undefined,
    path: Uint16Array,
    overlap?: number,
    told = EVERY,
  ) => {
    for (let s = 0; s < size; s++)
      cost[s] = overlap === undefined || (s & (most - 1)) === overlap ? 0 : NO_PATH
    let base = 0
    for (let t = 0; t < x.length; t++) {
      const k = stepBits(t, bits)
      const groups = size >> k
      let least = NO_PATH
      for (let g = 0; g < groups; g++) {
        let m = cost[g]
        let choice = 0
        for (let j = 1; j < 1 << k; j++) {
          const other = cost[g + j * groups]
          if (other <= m) [m, choice] = [other, j]
        }
        choices[t * most + g] = choice
        best[g] = m === NO_PATH ? NO_PATH : Math.max(0, m - base)
        least = Math.min(least, best[g])
      }
      base = least
      for (let s = 0; s < size; s++) {
        const difference = clamp16(lut[s] - x[t])
        const d = clamp16(factor * difference)
        const square = multiply15(d, d)
        next[s] = Math.min(NO_PATH, best[s >> k] + (w ? multiply15(square, w[t]) : square))
      }
      ;[cost, next] = [next, cost]
    }
    let state = 0
    let least = NO_PATH
    for (let s = overlap ?? 0; s < size; s += overlap === undefined ? 1 : most) {
      if (cost[s] < least) [least, state] = [cost[s], s]
    }
    if (least === NO_PATH) return false
    for (let t = x.length - 1; t >= 0; t--) {
      path[t] = state
      // Its cost is too low.
      if (Math.abs(lut[state] - x[t]) > told && w?.[t] !== 0) return false
      const k = stepBits(t, bits)
      const g = state >> k
      state = g + choices[t * most + g] * (size >> k)
    }
    return true
  }
}
