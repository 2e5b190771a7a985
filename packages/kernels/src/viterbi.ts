import { ReallmError } from '@reallm/tensor-io'
import { checkTrellisBits } from '@reallm/tensor-io/layouts/trellis-tiles'
import { type Engine, engine, floats, reserve } from './engine.ts'
import { lutScale, viterbi as reference, scaledLut } from './reference/viterbi.ts'
import type { ViterbiOptions } from './trellis-code.ts'

/** Sequences that are copied to the kernels' memory at a time. */
const BATCH = 4096

/**
 * The path of states whose values are nearest to `values`: minimises Σ w·(x − lut[state])² over each sequence.
 * With tail-biting by two passes: one over the values around the seam gives the overlap state, which the second pass is
 * tied to (after QTIP, arXiv 2406.11235 §4.1). Costs have 15 bits: values beyond the table's largest are as good as it.
 *
 * @param values any number of sequences of `length` values, one after the other
 * @returns a state for each value; `packTile` of `@reallm/tensor-io/layouts` stores their last `bits` bits
 * @throws ReallmError `bad-option`, `bad-tensor`
 * @example
 * const lut = trellisTable(12, 2)
 * const states = viterbi(new Float32Array(256).fill(0.5), { bits: 2, lut })
 * const decoded = Float32Array.from(states, s => lut[s])
 */
export function viterbi(values: Float32Array, options: ViterbiOptions): Uint16Array {
  checkViterbi(values, options)
  const e = engine()
  if (!e) return reference(values, options)
  const { length = 256 } = options
  const states = new Uint16Array(values.length)
  for (let from = 0; from < values.length; from += BATCH * length) {
    encodeBatch(e, values.subarray(from, from + BATCH * length), from, options, states)
  }
  return states
}

function encodeBatch(
  e: Engine,
  x: Float32Array,
  from: number,
  options: ViterbiOptions,
  states: Uint16Array,
): void {
  const { bits, lut, length = 256, tailBiting = true, weights } = options
  const count = x.length
  const size = lut.length
  const scratch = e.threads * (e.kernels.viterbiScratch(size, Math.floor(bits), length) + 64)
  const { scale, fine, coarse } = integersOf(lut)
  const [px, pw, pl, pc, pp, ps] = reserve(
    e,
    4 * count,
    weights ? 4 * count : 0,
    2 * size,
    2 * size,
    2 * count,
    scratch,
  )
  floats(e, px, count).set(x)
  if (weights) floats(e, pw, count).set(weights.subarray(from, from + count))
  new Int16Array(e.memory.buffer, pl, size).set(fine)
  new Int16Array(e.memory.buffer, pc, size).set(coarse)
  const sequences = count / length
  e.kernels.viterbi(
    px,
    weights ? pw : 0,
    sequences,
    length,
    4 * bits,
    pl,
    size,
    scale,
    +tailBiting,
    pp,
    ps,
    pc,
  )
  states.set(new Uint16Array(e.memory.buffer, pp, count), from)
}

interface IntegerTable {
  readonly lut: Float32Array
  readonly scale: number
  readonly fine: Int16Array
  readonly coarse: Int16Array
}
let lastTable: IntegerTable | undefined

/** A table in integers, at both scales of the search; kept, since matrices are searched tile by tile. */
function integersOf(lut: Float32Array): IntegerTable {
  if (lastTable && isEqual(lastTable.lut, lut)) return lastTable
  const scale = lutScale(lut)
  lastTable = { lut: lut.slice(), scale, fine: scaledLut(lut, scale), coarse: scaledLut(lut, scale / 8) }
  return lastTable
}

function isEqual(a: Float32Array, b: Float32Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function checkViterbi(values: Float32Array, { bits, lut, length = 256, weights }: ViterbiOptions): void {
  const stateBits = Math.log2(lut.length)
  checkTrellisBits(bits)
  if (!Number.isInteger(stateBits) || stateBits < 8 || stateBits > 16) {
    throw new ReallmError('bad-option', `a lookup table has 2^L values, L from 8 to 16, got ${lut.length}`)
  }
  if (Math.ceil(bits) > stateBits - 3) {
    throw new ReallmError('bad-option', `${stateBits} state bits are too few for ${bits} bits per weight`, {
      hint: `use ${Math.ceil(bits) + 3} or more`,
    })
  }
  const uneven = !Number.isInteger(bits) && length % 8 !== 0
  if (uneven || length < 2 * Math.ceil(stateBits / bits) || values.length % length !== 0) {
    throw new ReallmError(
      'bad-tensor',
      `${values.length} values are no whole number of sequences of ${length}`,
    )
  }
  if (weights && weights.length !== values.length) {
    throw new ReallmError('bad-tensor', `${values.length} values need as many weights, got ${weights.length}`)
  }
  // Any NaN or infinity makes the sum of differences NaN: no call per value.
  let nothing = 0
  for (let i = 0; i < values.length; i++) nothing += values[i] - values[i]
  if (nothing !== 0) {
    throw new ReallmError('numeric', 'the values to encode hold NaN or infinities')
  }
}
