import { packedBytes, unpackBits } from '../../core/bits.ts'
import { ReallmError } from '../../core/errors.ts'
import type { MatrixShape } from '../../core/tensor.ts'
import type { Fields, FullParams } from '../field.ts'
import type { Stored, StoredLayout } from '../layout.ts'
import { type DenseLayer, layerParts, readLayers } from './dense-layers.ts'

/** Bits of one vector's codes together. */
const MOST_VECTOR_BITS = 16

const params = {
  /** Neighbouring weights of a row decoded together, d. */
  dim: { whole: [1, 32], default: 6 },
  /** Bits of each latent code of a vector, at most 16 together. */
  codeBits: { list: { each: { whole: [1, 10] }, most: 3 }, default: [6, 6] },
  /** Width of the network's hidden layer. */
  hidden: { whole: [1, 256], default: 32 },
  /** Bits of a network weight, b_φ. */
  weightBits: { whole: [4, 8], default: 8 },
  /** Alternations of assignment and training. */
  rounds: { whole: [1], default: 8 },
  /** Training steps in a round. */
  steps: { whole: [1], default: 150 },
  learningRate: { number: { above: 0 }, default: 4e-3 },
} as const satisfies Fields

/** Parameters of a matrix stored as an implicit network. */
export type ImplicitParams = FullParams<typeof params>

/**
 * An implicit codebook: `dim` neighbouring weights of a row have a few latent codes that a small network decodes; one scale for
 * the matrix.
 *
 * Parts: `codes` U8 `[⌈rows·⌈cols / dim⌉·Σ codeBits / 8⌉]`, the first code in the lowest bits; `scale` F32 `[1]`; the layers
 * (see `layerParts`): a codebook `[d, 2^b]` per code, then the hidden and the output layer.
 */
export const implicitLayout: StoredLayout<typeof params> = {
  codec: 'implicit',
  params,
  parts([rows, cols], params) {
    const bits = vectorBits(params)
    if (bits > MOST_VECTOR_BITS) {
      throw new ReallmError(
        'bad-option',
        `implicit: codes of a vector take at most ${MOST_VECTOR_BITS} bits together, not ${bits}`,
      )
    }
    return {
      codes: { dtype: 'U8', shape: [packedBytes(rows * Math.ceil(cols / params.dim), bits)] },
      scale: { dtype: 'F32', shape: [1] },
      ...layerParts(implicitLayers(params), params.weightBits),
    }
  },
}

/** Bits of one vector's codes. */
export const vectorBits = ({ codeBits }: Pick<ImplicitParams, 'codeBits'>): number =>
  codeBits.reduce((sum, b) => sum + b, 0)

/** `[out, in]` of the layers. */
export const implicitLayers = ({
  dim,
  codeBits,
  hidden,
}: Pick<ImplicitParams, 'dim' | 'codeBits' | 'hidden'>): MatrixShape[] => [
  ...codeBits.map(b => [dim, 2 ** b] as const),
  [hidden, codeBits.length * dim],
  [dim, hidden],
]

/** Codes of rows `from` to `to` (exclusive), the layers, and the scale. */
export function readImplicit(
  { parts, params, shape }: Stored<typeof implicitLayout>,
  from = 0,
  to = shape[0],
): { codes: Uint16Array; layers: DenseLayer[]; scale: number } {
  const across = Math.ceil(shape[1] / params.dim)
  const packed = parts.codes.data as Uint8Array
  return {
    codes: unpackBits(packed, vectorBits(params), (to - from) * across, from * across),
    layers: readLayers(parts, implicitLayers(params), params.weightBits),
    scale: (parts.scale.data as Float32Array)[0],
  }
}
