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
   * Mean bits per weight, 1–6 and at most `stateBits` − 3. Each column of tiles is coded at a quarter of a bit: the same
   * or the nearest two, behind feedback rounding more where an error costs more.
   */
  bits: { number: { least: 1, most: MAX_TRELLIS_BITS } },
  /** L: bits of a state. Two more take about four times as long and lower the error by 1–7 %. */
  stateBits: { whole: [8, 16], default: 10 },
  /**
   * What states stand for. `gauss`: a fixed table optimised for normal weights (any L; nothing stored). `hash`: computed
   * from the state (QTIP's 1MAD; any L; nothing stored). `trained`: fitted to the matrix and stored with 8 or 16 bits a
   * value, for weights that no rotation has made normal. `network`: a small network on the state's bits, fitted to the
   * matrix or to a group of them, corrects the fixed table (any L; 8 bits a weight are stored).
   */
  values: { of: ['gauss', 'hash', 'trained', 'network'], default: 'gauss' },
  /** Bits of a stored value of a trained table. */
  tableBits: { of: [8, 16], default: 8 },
  /** Hidden units of a network: each takes L + 3 bytes. */
  hidden: { whole: [1, 64], default: 12 },
  /** One f32 scale for the matrix, or an f16 one for each row. */
  scale: { like: wholeScale, default: 'matrix' },
  /** Factor on the scale: above 1 where feedback will widen the values to come. */
  gain: { number: { above: 0 }, default: 1 },
} as const satisfies Fields

export type FullTrellisParams = FullParams<typeof params>

/**
 * A bit-shift trellis code over tiles of 16 × 16 weights: each weight takes k bits of a cyclic bit stream, and stands for
 * `scale · value(last L bits)`.
 *
 * Parts: `rates` U8 of the tile columns, four times their bits per weight; `codes` U32, one segment of
 * `trellisSegments` after the other, each packed as `trellisTiles` tells; `scales` F32 `[1, 1]` or F16 `[rows, 1]`; where
 * trained `table<k>` I8 (times 1/32) or F16 `[2^stateBits]`; for a network `network<k>` I8 `[hidden, stateBits + 3]` and
 * `networkSteps<k>` F16 `[2]`.
 */
export const trellisLayout: StoredLayout<typeof params> = {
  codec: 'trellis',
  params,
  parts([rows, cols], params) {
    const most = mostTrellisBits(params)
    if (params.bits > most) {
      throw new ReallmError(
        'bad-option',
        `${params.stateBits} state bits code at most ${most} bits per weight`,
        { hint: `raise stateBits to ${Math.ceil(params.bits) + 3} or more` },
      )
    }
    const parts: Record<string, StorageCost[string]> = {
      rates: { dtype: 'U8', shape: [Math.ceil(cols / TILE)] },
      codes: { dtype: 'U32', shape: [trellisWords(rows, cols, params.bits)] },
      ...wholeScaleParts(params.scale, rows),
    }
    if (storesValues(params)) {
      for (const bits of evenRates(cols, params.bits)) Object.assign(parts, valueParts(params, bits))
    }
    return parts
  },
}

/** A state has to remember more than the bits that a weight appends. */
export const mostTrellisBits = ({ stateBits }: Pick<FullTrellisParams, 'stateBits'>): number =>
  Math.min(MAX_TRELLIS_BITS, stateBits - 3)

/** Whether the values of the states are stored, each rate's by itself: columns then share the rate evenly. */
export const storesValues = ({ values }: Pick<FullTrellisParams, 'values'>): boolean =>
  values === 'trained' || values === 'network'

/** 8-bit values of trained tables are multiples of this. */
export const TABLE_STEP = 1 / 32

/** Weights of each hidden unit of a network: of the state's bits, the fixed table's value and one, then its way out. */
export const networkWidth = (stateBits: number): number => stateBits + 3

/** Names of the parts that may hold the values of the states at one rate. */
export const valueNames = (bits: number) => ({
  table: `table${bits}`,
  network: `network${bits}`,
  steps: `networkSteps${bits}`,
})

/** The parts that hold the values of the states at one rate; none where they are computed or fixed. */
export function valueParts(
  { values, tableBits, stateBits, hidden }: FullTrellisParams,
  bits: number,
): StorageCost {
  switch (values) {
    case 'trained':
      return { [valueNames(bits).table]: { dtype: tableBits === 8 ? 'I8' : 'F16', shape: [2 ** stateBits] } }
    case 'network':
      return {
        [valueNames(bits).network]: { dtype: 'I8', shape: [hidden, networkWidth(stateBits)] },
        [valueNames(bits).steps]: { dtype: 'F16', shape: [2] },
      }
    default:
      return {}
  }
}

/** A segment with its own words of the matrix's codes. */
export interface CodedSegment extends TrellisSegment {
  readonly words: Uint32Array
}

/**
 * The segments of a stored matrix.
 *
 * @throws `bad-tensor` where its rates are no rates of its columns, do not add up to its codes, or have no values
 */
export function readTrellis(e: Stored<typeof trellisLayout>): CodedSegment[] {
  const { params, parts, shape } = e
  const codes = parts.codes.data as Uint32Array
  const segments = trellisSegments(shape[0], shape[1], parts.rates.data as Uint8Array)
  const words = segments.reduce((sum, { tiles }) => sum + tiles.words, 0)
  const most = mostTrellisBits(params)
  const known = storesValues(params) ? evenRates(shape[1], params.bits) : undefined
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
