import type {
  EncodeContext,
  EncodedMatrix,
  LongWork,
  Matrix,
  MatrixCodec,
  MatrixShape,
  RowBands,
  StorageCost,
  Tensor,
} from '@reallm/tensor-io'

/** Tensors that several matrices store alike, by the names of their parts. */
export type SharedTensors = Readonly<Record<string, Tensor>>

/** A decoder that is fitted to a group of matrices and stored once for all of them. */
export interface SharedDecoder {
  /** Whether a part of the configuration's cost belongs to the decoder. */
  includes(part: string): boolean
  /** Fits the decoder to rows of the group's matrices, each `[rows, in]`. */
  fit(group: readonly Matrix[], ctx: LongWork & { readonly seed: number }): Promise<SharedTensors>
  /** The same configuration with a fitted decoder. */
  with(fitted: SharedTensors): Configuration
}

/** Bits per weight of bands of rows. */
export interface BandRates {
  /** Rows of every band except the last. */
  readonly rows: number
  readonly bits: readonly number[]
}

/** How the bits of a matrix are shared by rows that are not used alike. */
interface RatesByUse {
  /** Rows of every band except the last. */
  readonly rows: number
  /** Family of the configurations that have one rate for all rows. */
  readonly evenFamily: string
  /** The rates that lose least, in no more bytes than equal ones. `weights`: what errors in the rows of each band cost. */
  split(weights: readonly number[]): BandRates
  /** The same configuration with other rates. */
  with(rates: BandRates): Configuration
  /** The same configuration for some rows of the matrix, all at one rate. */
  forSome(rows: number): Configuration
}

/** One way to store one matrix: a codec with its parameters. */
export interface Configuration {
  /** Stable name, unique among a matrix's configurations: `trellis-3b-L10`. Checkpoints and jobs hold it. */
  readonly id: string
  /** For people: `trellis 3 bits, L=10`. */
  readonly label: string
  /** Configurations of one family differ in rate only: measuring some of them tells about the others. */
  readonly family?: string
  /** Parameters of the codec. */
  readonly params: unknown
  /**
   * For codecs that train: the same configuration with less training, shortest first. Sensitivity is measured on these,
   * by successive halving.
   */
  readonly trials?: readonly Configuration[]
  /** Set where matrices of one kind share a decoder. */
  readonly shared?: SharedDecoder
  /** Set where bands of rows may have rates of their own; until they are given, all have the same. */
  readonly byUse?: RatesByUse
  /** Its error can only be measured on the whole matrix, not on a sample of rows (products of factors). */
  readonly needsAllRows?: boolean
  /** Every tensor it will store. Throws `bad-option` when the shape `[out, in]` does not fit. */
  cost(shape: MatrixShape): StorageCost
  encode(w: Matrix, ctx: EncodeContext): Promise<EncodedMatrix>
  decode(e: EncodedMatrix): Matrix
  /** How it is encoded in bands of rows; undefined where rows depend on each other. */
  bands(): { readonly rows: number; readonly join: RowBands['join'] } | undefined
}

interface ConfigurationParts<Params>
  extends Pick<Configuration, 'id' | 'family' | 'shared' | 'trials' | 'needsAllRows'> {
  /** Default: the id. */
  readonly label?: string
  readonly codec: MatrixCodec<Params>
  readonly params: Params
}

/**
 * A codec or composition with its parameters, as a configuration.
 *
 * @example
 * configuration({ id: 'grid-4b', codec: grid, params: { bits: 4, group: 64 } })
 */
export const configuration = <Params>({
  codec,
  params,
  ...parts
}: ConfigurationParts<Params>): Configuration => ({
  label: parts.id,
  ...parts,
  params,
  cost: shape => codec.cost(shape, params),
  encode: (w, ctx) => codec.encode(w, params, ctx),
  decode: e => codec.decode(e),
  bands() {
    const rows = codec.bands?.rows(params)
    return rows === undefined ? undefined : { rows, join: codec.bands!.join }
  },
})
