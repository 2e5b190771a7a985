import type { DecodedSegment, TrellisMatrix } from '@reallm/kernels/decode/trellis'
import { pairSteps, pairTable, trellisStream } from '@reallm/kernels/decode/trellis-stream'
import type { Pointer } from '@reallm/kernels/inference'
import type { MatrixShape } from '@reallm/tensor-io'
import { MAX_TRELLIS_BITS } from '@reallm/tensor-io/layouts/trellis-tiles'
import type { Engine } from '../engine.ts'

/** A trellis code in the engine's memory, as its kernels read it. */
export interface TrellisCode {
  readonly shape: MatrixShape
  readonly stateBits: number
  readonly codes: Pointer
  readonly rates: Pointer
  readonly rowBytes: number
  readonly ranges: readonly TrellisRange[]
  readonly bytes: number
  dispose(): void
}

/** Columns whose values are multiples of one step, at most 127 of them. */
interface TrellisRange {
  readonly from: number
  readonly to: number
  /** Where its first tile lies in a row of tiles. */
  readonly firstByte: number
  readonly step: number
  /** Addresses of the tables of each rate. */
  readonly tables: Pointer
}

/** Bytes that tables of one rate take at most, for each byte of a matrix's codes. */
const MOST_TABLES = 0.25

/**
 * Uploads a code.
 *
 * @param shared whether the tables are those of all matrices of these rates
 * @returns undefined where the values of some states are no bytes times a step
 */
export function uploadTrellis(engine: Engine, m: TrellisMatrix, shared: boolean): TrellisCode | undefined {
  const { arena } = engine
  const parts = rangesOf(m.segments, shared && m.stateBits)
  if (!parts) return undefined
  let codes: Pointer = 0
  const stream = trellisStream(m.segments, words => {
    codes = arena.allocate(4 * words)
    return arena.words(codes, words)
  })
  const owned = [codes]
  const codeBytes = stream.codes.length
  let bytes = codeBytes
  const own = (values: ArrayBufferView) => {
    const at = engine.upload(values)
    owned.push(at)
    bytes += values.byteLength
    return at
  }

  /**
   * The tables of one rate: of pairs where they are short, those of this matrix alone beside its codes. Shared ones have the same values
   * at rates of one whole part.
   */
  function tablesOf({ bits, table }: DecodedSegment, step: number): readonly Pointer[] {
    const pairs = pairSteps(m.stateBits, bits)
    const size = pairs?.reduce((sum, p) => sum + 2 ** (m.stateBits + p + 1), 0) ?? 0
    const steps = pairs && (shared || size <= codeBytes * MOST_TABLES) ? pairs : [0]
    return steps.map(p => {
      const make = () => {
        const values = Int8Array.from(table, v => Math.round(v / step))
        return p > 0 ? pairTable(values, m.stateBits, p) : values
      }
      const key = `trellis ${m.stateBits} ${Math.floor(bits)} ${step} ${p}`
      return shared ? engine.constant(key, make) : own(make())
    })
  }

  let firstByte = 0
  const ranges = parts.map(({ segments, step }) => {
    const addresses = new Uint32Array(8 * MAX_TRELLIS_BITS + 2)
    const first = firstByte
    for (const segment of segments) {
      const rate = 4 * segment.bits
      if (addresses[2 * rate] === 0) addresses.set(tablesOf(segment, step), 2 * rate)
      firstByte += 2 * rate * segment.tiles.tileCols * 4
    }
    const [{ from }, { to }] = [segments[0], segments.at(-1)!]
    return { from, to, firstByte: first, step, tables: own(addresses) }
  })
  const rates = own(stream.rates)
  return {
    shape: m.shape,
    stateBits: m.stateBits,
    codes,
    rates,
    rowBytes: stream.rowBytes,
    ranges,
    bytes,
    dispose() {
      for (const at of owned.splice(0)) arena.free(at)
    },
  }
}

/** All segments, where their values have a common step; otherwise each by itself. `shared` are the state bits of shared tables. */
function rangesOf(
  segments: readonly DecodedSegment[],
  shared: number | false,
): { segments: readonly DecodedSegment[]; step: number }[] | undefined {
  const common = shared ? sharedStep(segments, shared) : commonStep(segments)
  if (common !== undefined) return [{ segments, step: common }]
  const ranges = []
  for (const segment of segments) {
    const step = commonStep([segment])
    if (step === undefined) return undefined
    ranges.push({ segments: [segment], step })
  }
  return ranges
}

const sharedSteps = new Map<string, number | undefined>()

/** The common step of tables that are the same in every matrix of these rates. */
function sharedStep(segments: readonly DecodedSegment[], stateBits: number): number | undefined {
  const key = `${stateBits} ${segments.map(({ bits }) => bits)}`
  const step = sharedSteps.get(key) ?? commonStep(segments)
  sharedSteps.set(key, step)
  return step
}

/** The largest step that all values are whole multiples of, up to 127 times. */
function commonStep(segments: readonly DecodedSegment[]): number | undefined {
  const tables = [...new Map(segments.map(({ bits, table }) => [bits, table])).values()]
  const largest = Math.max(...tables.map(values => values.reduce((top, v) => Math.max(top, Math.abs(v)), 0)))
  for (let count = 127; count >= 1; count--) {
    const step = largest / count
    const fits = (v: number) => Math.abs(v / step - Math.round(v / step)) < 1e-3
    if (tables.every(values => values.every(fits))) return step
  }
  return undefined
}
