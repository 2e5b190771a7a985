import { shapeText } from '../../core/check.ts'
import { ReallmError } from '../../core/errors.ts'
import { altered } from '../altered.ts'
import type { EncodedMatrix, StorageCost } from '../encoded-matrix.ts'
import type { Fields, FullParams } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { readWholeScales, wholeScale, wholeScaleParts } from './scales.ts'
import { evenRates, type TrellisSegment, trellisSegments, trellisWords } from './trellis-segments.ts'
import { MAX_TRELLIS_BITS, TILE } from './trellis-tiles.ts'

const params = {
  /**
   * Mean bits per weight, 1–6 and at most `stateBits` − 3. Each column of tiles has a rate in quarters of a bit: all the same or
   * the nearest two, and under error feedback a higher one where an error costs more.
   */
  bits: { number: { least: 1, most: MAX_TRELLIS_BITS } },
  /** L: bits of a state. Two more take about four times as long and lower the error a little. */
  stateBits: { whole: [8, 16], default: 10 },
  /**
   * Values of the states. `gauss`: a fixed table for normal weights, nothing stored. `network`: a small network on the state's
   * bits, fitted to one matrix or a group of them, corrects the table; its weights are stored with 8 bits each.
   */
  values: { of: ['gauss', 'network'], default: 'gauss' },
  /** Hidden units of a network: each takes L + 3 bytes. */
  hidden: { whole: [1, 64], default: 12 },
  /** One f32 scale for the matrix, or an f16 one for each row. */
  scale: { like: wholeScale, default: 'matrix' },
} as const satisfies Fields

/** Parameters of a matrix stored by a trellis code, defaults filled in. */
export type FullTrellisParams = FullParams<typeof params>

/**
 * A bit-shift trellis code over tiles of 16 × 16 weights: each weight takes k bits of a cyclic bit stream, and decodes to
 * `scale · value(last L bits)`.
 *
 * Parts: `rates` U8 of the tile columns, four times their bits per weight; `codes` U32, one segment of `trellisSegments` after the
 * other, each packed as `trellisTiles` describes; `scales` F32 `[1, 1]` or F16 `[rows, 1]`; for a network `network<k>` I8
 * `[hidden, stateBits + 3]` and `networkSteps<k>` F16 `[2]`.
 */
export const trellisLayout: StoredLayout<typeof params> = {
  codec: 'trellis',
  params,
  retired: { tableBits: 8, gain: 1 },
  parts([rows, cols], params) {
    refuseRates(params.bits, params.stateBits)
    const parts: Record<string, StorageCost[string]> = {
      rates: { dtype: 'U8', shape: [Math.ceil(cols / TILE)] },
      codes: { dtype: 'U32', shape: [trellisWords(rows, cols, params.bits)] },
      ...wholeScaleParts(params.scale, rows),
    }
    if (storesNetwork(params)) {
      for (const bits of evenRates(cols, params.bits)) Object.assign(parts, networkParts(params, bits))
    }
    return parts
  },
}

/** Throws `bad-option` where states of so many bits cannot code a rate. */
export function refuseRates(bits: number, stateBits: number): void {
  const most = mostTrellisBits({ stateBits })
  if (bits <= most) return
  throw new ReallmError('bad-option', `${stateBits} state bits code at most ${most} bits per weight`, {
    hint: `raise stateBits to ${Math.ceil(bits) + 3} or more`,
  })
}

/** The largest rate of a column: a state holds more bits than a weight appends. */
export const mostTrellisBits = ({ stateBits }: Pick<FullTrellisParams, 'stateBits'>): number =>
  Math.min(MAX_TRELLIS_BITS, stateBits - 3)

/** Whether a network is stored for each rate; all columns then have the same rate or the nearest two. */
export const storesNetwork = ({ values }: Pick<FullTrellisParams, 'values'>): boolean => values === 'network'

/** Weights of each hidden unit of a network: of the state's bits, the fixed table's value and one, then of its output. */
export const networkWidth = (stateBits: number): number => stateBits + 3

/** Names of the parts that hold the network of one rate. */
export const networkNames = (bits: number) => ({
  network: `network${bits}`,
  steps: `networkSteps${bits}`,
})

/** The parts that hold the network of one rate. */
export const networkParts = ({ stateBits, hidden }: FullTrellisParams, bits: number): StorageCost => ({
  [networkNames(bits).network]: { dtype: 'I8', shape: [hidden, networkWidth(stateBits)] },
  [networkNames(bits).steps]: { dtype: 'F16', shape: [2] },
})

/** A segment with its own words of the matrix's codes. */
export interface CodedSegment extends TrellisSegment {
  readonly words: Uint32Array
}

/**
 * The segments of a stored matrix.
 *
 * @throws `bad-tensor` where its rates are no rates of its columns, do not add up to its codes, or have no network
 */
export function readTrellis(e: Stored<typeof trellisLayout>): CodedSegment[] {
  const { params, parts, shape } = e
  const codes = parts.codes.data as Uint32Array
  const segments = trellisSegments(shape[0], shape[1], parts.rates.data as Uint8Array)
  const words = segments.reduce((sum, { tiles }) => sum + tiles.words, 0)
  const most = mostTrellisBits(params)
  const known = storesNetwork(params) ? evenRates(shape[1], params.bits) : undefined
  if (words !== codes.length || segments.some(({ bits }) => bits > most || known?.includes(bits) === false)) {
    throw altered(`trellis ${shapeText(shape)}: the part rates does not fit the codes`)
  }
  return segments.map(segment => ({
    ...segment,
    words: codes.subarray(segment.firstWord, segment.firstWord + segment.tiles.words),
  }))
}

/** Scales of rows `from` to `to` (exclusive), or the one of the matrix. */
export const readTrellisScales = (
  e: EncodedMatrix<FullTrellisParams>,
  from = 0,
  to = e.shape[0],
): Float32Array => readWholeScales(e, e.params.scale, from, to)
