import {
  type EncodedMatrix,
  type Fields,
  f32ToF16,
  type GivenParams,
  type MatrixShape,
  parseParams,
  type Random,
  random,
  type StorageCost,
  type StoredLayout,
  sizeOf,
  type Tensor,
} from '@reallm/tensor-io'
import {
  gridLayout,
  kmeansLayout,
  lowRankResidualLayout,
  lowrankLayout,
  lplrLayout,
  monarchLayout,
  monarchResidualLayout,
  normalfloatLayout,
  romLayout,
  rotationLayout,
  rowScaledLayout,
  scalingLayout,
  trellisBandsLayout,
  trellisLayout,
} from '@reallm/tensor-io/layouts'
import { evenRates, trellisBudget } from '@reallm/tensor-io/layouts/trellis-segments'
import { randomBlocks, typesOfBlocks } from './random-blocks.ts'

const shape = [48, 96] as const
const trellis = stored(trellisLayout, { bits: 3, stateBits: 8 })
const rotated = stored(rotationLayout, {}, trellis)
const bands = stored(
  trellisBandsLayout,
  { bits: [4.25, 1, 2.5], rows: 64, stateBits: 8 },
  undefined,
  [152, 96],
)

/** Stored matrices of random codes, at least one of every layout that needs no network to make. */
export const storedMatrices: readonly (readonly [name: string, stored: EncodedMatrix])[] = [
  ['grid', stored(gridLayout, { bits: 3, group: 32 })],
  ['grid with zero points', stored(gridLayout, { bits: 4, group: 48, symmetric: false, scales: 'double' })],
  ['grid, a scale per row', stored(gridLayout, { bits: 2, group: 'row', scales: 'f32' })],
  ['grid of uneven bits', stored(gridLayout, { bits: 5, group: 16 })],
  ['grid of eight bits', stored(gridLayout, { bits: 8, group: 32 })],
  ['normalfloat', stored(normalfloatLayout, { bits: 4, group: 32 })],
  ['kmeans', stored(kmeansLayout, { bits: 2, dim: 4, group: 32 })],
  ['kmeans without scales', stored(kmeansLayout, { bits: 1.5, dim: 8, group: 'none' })],
  ...[1, 1.5, 2, 2.25, 3, 3.75, 4, 5].map(
    bits => [`trellis of ${bits} bits`, stored(trellisLayout, { bits, stateBits: 8, scale: 'row' })] as const,
  ),
  ...[9, 10, 12, 14].map(
    stateBits =>
      [`trellis, ${stateBits} state bits`, stored(trellisLayout, { bits: 2.25, stateBits })] as const,
  ),
  ['trellis of 6 bits', stored(trellisLayout, { bits: 6, stateBits: 10 })],
  [
    'trellis with networks',
    stored(trellisLayout, { bits: 2.25, stateBits: 9, values: 'network', hidden: 4 }),
  ],
  ['trellis of uneven width', stored(trellisLayout, { bits: 2.5, stateBits: 9 }, undefined, [40, 100])],
  ['trellis in bands of rows', bands],
  ['rotated bands of rows', stored(rotationLayout, { output: false }, bands, bands.shape)],
  ['rotated trellis', rotated],
  ['rotated on the input alone', stored(rotationLayout, { output: false }, trellis)],
  ['rotated on the output alone', stored(rotationLayout, { input: false }, trellis)],
  ['scaled rotated trellis', stored(scalingLayout, {}, rotated)],
  ['scaled columns', stored(scalingLayout, { rows: false }, trellis)],
  ['row factors', stored(rowScaledLayout, {}, rotated)],
  ['low rank', stored(lowrankLayout, { rank: 6 })],
  ['low rank of 16 bits', stored(lowrankLayout, { rank: 3, bits: 16 })],
  ['LPLR', stored(lplrLayout, { rank: 6, leftBits: 4, rightBits: 3 })],
  ['ROM', stored(romLayout, { rank: 12 })],
  ['low rank + rotated trellis', stored(lowRankResidualLayout, { rank: 5 }, rotated)],
  ['rank 0 + trellis', stored(lowRankResidualLayout, { rank: 0 }, trellis)],
  ['Monarch', stored(monarchLayout, { rank: 2, bits: 8 })],
  ['Monarch of uneven blocks', stored(monarchLayout, { inBlocks: 32, outBlocks: 2 })],
  ['Monarch + trellis', stored(monarchResidualLayout, {}, trellis)],
  ...typesOfBlocks.map(type => [`GGUF’s ${type}`, randomBlocks(type)] as const),
]

/** A stored matrix of random parts. */
function stored<F extends Fields>(
  layout: StoredLayout<F>,
  given: GivenParams<F> & { readonly bits?: unknown },
  inner?: EncodedMatrix,
  of: MatrixShape = shape,
): EncodedMatrix {
  const params = parseParams(layout, given)
  const draw = random(7)
  const parts: Record<string, Tensor> = {}
  for (const [name, part] of Object.entries(layout.parts(of, params))) parts[name] = randomPart(part, draw)
  if (parts.rates)
    (parts.rates.data as Uint8Array).set([given.bits].flat().flatMap(bits => ratesOf(of[1], Number(bits))))
  return { codec: layout.codec, params, shape: of, parts, ...(inner ? { inner } : {}) }
}

/** Rates of tile columns in quarters of a bit, the lower ones first. */
function ratesOf(cols: number, bits: number): number[] {
  const { tiles, quarters } = trellisBudget(cols, bits)
  const [lower] = evenRates(cols, bits)
  const higher = quarters - 4 * lower * tiles
  return Array.from({ length: tiles }, (_, i) => 4 * lower + Number(i >= tiles - higher))
}

function randomPart({ dtype, shape }: StorageCost[string], draw: Random): Tensor {
  const length = sizeOf(shape)
  const values = (make: () => number) => Array.from({ length }, make)
  switch (dtype) {
    case 'F32':
      return { dtype, shape, data: Float32Array.from(values(() => 0.05 + 0.1 * draw.uniform())) }
    case 'F16':
      return { dtype, shape, data: f32ToF16(Float32Array.from(values(() => 0.3 * draw.normal()))) }
    case 'F8_E4M3':
      return { dtype, shape, data: Uint8Array.from(values(() => 0x30 + draw.integer(0x10))) }
    case 'I8':
      return { dtype, shape, data: Int8Array.from(values(() => draw.integer(61) - 30)) }
    case 'U32':
      return { dtype, shape, data: Uint32Array.from(values(() => draw.word())) }
    case 'U8':
      return { dtype, shape, data: Uint8Array.from(values(() => draw.integer(256))) }
    default:
      throw new Error(`no random ${dtype}`)
  }
}
