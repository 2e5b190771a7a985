import type { ViterbiOptions } from '../viterbi.ts'

/**
 * Twin of `viterbi`. Costs are float32, as in the wasm kernel, so that both choose the same path.
 *
 * @param values sequence after sequence
 */
export function viterbi(values: Float32Array, options: ViterbiOptions): Uint16Array {
  const { bits, lut, length = 256, tailBiting = true, weights } = options
  const states = new Uint16Array(values.length)
  const search = createSearch(bits, lut, length)
  for (let from = 0; from < values.length; from += length) {
    const x = values.subarray(from, from + length)
    const w = weights?.subarray(from, from + length)
    const path = states.subarray(from, from + length)
    if (!tailBiting) {
      search(x, w, path)
      continue
    }
    // The state in the middle of a rotated sequence is free of the ends' influence: tie both ends to its overlap.
    const half = length >> 1
    search(rotate(x, half), w && rotate(w, half), path)
    const overlap = path[length - half - 1] & ((lut.length >> bits) - 1)
    search(x, w, path, overlap)
  }
  return states
}

const rotate = (x: Float32Array, by: number): Float32Array => {
  const out = new Float32Array(x.length)
  out.set(x.subarray(by))
  out.set(x.subarray(0, by), x.length - by)
  return out
}

function createSearch(bits: number, lut: Float32Array, length: number) {
  const size = lut.length
  const groups = size >> bits
  const branches = 1 << bits
  const squares = lut.map(v => v * v)
  const cost = new Float32Array(size)
  const best = new Float32Array(groups)
  const from = new Uint8Array(length * groups)

  return (x: Float32Array, w: Float32Array | undefined, path: Uint16Array, overlap?: number) => {
    for (let g = 0; g < groups; g++) best[g] = overlap === undefined || g === overlap ? 0 : Infinity
    for (let t = 0; t < length; t++) {
      if (t > 0) {
        for (let g = 0; g < groups; g++) {
          let least = cost[g]
          let arg = 0
          for (let j = 1; j < branches; j++) {
            const c = cost[g + j * groups]
            if (c < least) {
              least = c
              arg = j
            }
          }
          best[g] = least
          from[t * groups + g] = arg
        }
      }
      const weight = w ? w[t] : 1
      const slope = Math.fround(Math.fround(-2 * x[t]) * weight)
      for (let s = 0; s < size; s++) {
        const quadratic = w ? Math.fround(squares[s] * weight) : squares[s]
        cost[s] = best[s >> bits] + Math.fround(quadratic + Math.fround(slope * lut[s]))
      }
    }
    let state = 0
    let least = Infinity
    for (let s = 0; s < size; s++) {
      if ((overlap === undefined || (s & (groups - 1)) === overlap) && cost[s] < least) {
        least = cost[s]
        state = s
      }
    }
    for (let t = length - 1; t >= 0; t--) {
      path[t] = state
      const g = state >> bits
      if (t > 0) state = g + from[t * groups + g] * groups
    }
  }
}
