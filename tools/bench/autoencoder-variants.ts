/**
 * What could make the residual autoencoder better, one thing at a time, each against the autoencoder that `searchShape`
 * finds at the same rate: one decoder for four matrices, the residual of a trellis (and a trellis for the residual),
 * blocks of other sizes, rows and columns divided by their own scales, columns in order of likeness. Every stored bit
 * counted. Nothing is trained.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/autoencoder-variants.ts [--smollm FILE.gguf] [--record]
 */
import { parseArgs } from 'node:util'
import {
  autoencoder,
  encodeGroup,
  type NervInput,
  type NervParams,
  searchShape,
  shapesAt,
  sharedParts,
} from '../../packages/autoencoder/src/index.ts'
import { builtInRegistry } from '../../packages/pipeline/src/index.ts'
import { relativeError } from '../../packages/tensor-io/src/codec/conformance/index.ts'
import {
  bitsOf,
  type EncodedMatrix,
  f16ToF32,
  f32ToF16,
  type Matrix,
  type MatrixCodec,
  random,
  sizeOf,
} from '../../packages/tensor-io/src/index.ts'
import { useBackend } from '../../packages/transformer/src/index.ts'
import { type PermutedParams, permuted, trellis } from '../../packages/vq/src/index.ts'
import { packages, startBench } from '../results/record.ts'
import { studyGroups, studyMatrices } from './autoencoder/matrices.ts'

const { values } = parseArgs({ options: { smollm: { type: 'string' } } })
const ctx = { seed: 1 }
const finish = startBench({
  name: 'autoencoder-variants',
  what: 'What could make the residual autoencoder better, one change at a time, each against the autoencoder alone at the same rate; nothing trained.',
  sources: [...packages('tensor-io', 'kernels', 'vq', 'autoencoder'), 'tools/bench/autoencoder'],
  columns: {
    matrix: { label: 'matrix' },
    rate: { label: 'rate', unit: 'bits per weight', digits: 3 },
    what: { label: 'what' },
    db: { label: 'dB', unit: 'dB', digits: 2 },
    alone: { label: 'autoencoder alone, dB', unit: 'dB', digits: 2 },
    gain: { label: 'gain, dB', unit: 'dB', digits: 2 },
  },
  key: ['matrix', 'rate', 'what'],
  seed: ctx.seed,
})
const registry = builtInRegistry()
await useBackend()

/** An approximation of a matrix, or the mean of those of several. */
interface Found {
  readonly what: string
  /** Bits per weight. */
  readonly rate: number
  readonly error: number
}

const db = (error: number) => -10 * Math.log10(error)
const mean = (numbers: readonly number[]) => numbers.reduce((sum, v) => sum + v, 0) / numbers.length
const rateOf = (stored: Parameters<typeof bitsOf>[0], { rows, cols }: Matrix) =>
  bitsOf(stored) / (rows * cols)

const rows: { matrix: string; rate: number; what: string; db: number; alone: number; gain: number }[] = []

for (const { name, members } of studyGroups(values.smollm)) {
  const group = await Promise.all(members.map(m => m.load()))
  for (const rate of [0.25, 0.5, 1]) await report(name, group, [await oneDecoder(group, rate)])
}
const shuffled = await shuffledImage()
for (const rate of [0.5, 1])
  await report('smooth image, columns shuffled', [shuffled], [await ordered(shuffled, rate)])
const single = studyMatrices(values.smollm, 'packages/tiny/model').filter(({ name }) =>
  ['smooth image', 'low-pass Toeplitz', 'SmolLM2 0.self_attn.q_proj'].includes(name),
)
for (const { name, load } of single) {
  const w = await load()
  for (const stages of [1, 2, 3]) await report(name, [w], [await blocks(w, 1, stages)])
  for (const rate of [0.5, 1.5]) await report(name, [w], [await ownScales(w, rate)])
  for (const rate of [0.5, 1.5]) await report(name, [w], [await ordered(w, rate)])
  await report(name, [w], [await afterTrellis(w, 1, 0.5), await beforeTrellis(w, 0.5, 1)])
}

finish(rows)

/** Adds rows; the autoencoder alone has each one's own rate. */
async function report(name: string, group: readonly Matrix[], variants: readonly Found[]): Promise<void> {
  for (const { what, rate, error } of variants) {
    const alone = await Promise.all(group.map(w => searchShape(w, rate, { patch: 64, steps: 0 }, ctx)))
    const own = mean(alone.map(found => found.error))
    rows.push({
      matrix: name,
      rate: Number(rate.toFixed(3)),
      what,
      db: db(error),
      alone: db(own),
      gain: db(error) - db(own),
    })
    console.error(`${name}, ${what}: ${db(error).toFixed(2)} dB`)
  }
}

/** The best of all shapes whose decoder, stored once, leaves the group within `rate`. */
async function oneDecoder(group: readonly Matrix[], rate: number): Promise<Found> {
  const weights = group.reduce((sum, { rows, cols }) => sum + rows * cols, 0)
  let best: Found = { what: 'one decoder for all', rate, error: Number.POSITIVE_INFINITY }
  for (const more of [1, 1.1, 1.25, 1.5]) {
    const shape = [group[0].rows, group[0].cols] as const
    for (const params of shapesAt(shape, more * rate, { patch: 64, steps: 0 })) {
      if (params.decoderWidth !== 3) continue // untrained, decoders of any width do nothing
      const cost = autoencoder.cost(shape, params)
      const shared = Object.fromEntries(sharedParts.map(part => [part, cost[part]]))
      const bits = group.length * bitsOf(cost) - (group.length - 1) * bitsOf(shared)
      if (bits / weights > rate) continue
      const stored = await encodeGroup(group, params, ctx)
      const error = mean(stored.map((e, i) => relativeError(group[i], autoencoder.decode(e))))
      if (error < best.error) best = { ...best, rate: bits / weights, error }
    }
  }
  return best
}

/** Blocks of 2^stages weights a side only. */
function blocks(w: Matrix, rate: number, stages: number): Promise<Found> {
  return bestShape(w, `blocks of ${2 ** stages} × ${2 ** stages}`, rate, s => s.stages === stages)
}

/** Columns in order of likeness, 64 rows at a time; the order is stored. */
function ordered(w: Matrix, rate: number): Promise<Found> {
  const order = Math.ceil(Math.log2(w.cols)) / 64
  return bestShape(
    w,
    'columns in order of likeness',
    rate - order,
    () => true,
    permuted(autoencoder, { by: 'similarity' }),
  )
}

/** The best of the shapes wanted at a rate, as they are or wrapped. */
async function bestShape(
  w: Matrix,
  what: string,
  rate: number,
  wanted: (shape: NervParams) => boolean,
  wrapped?: MatrixCodec<PermutedParams<NervInput>>,
): Promise<Found> {
  let best: Found = { what, rate, error: Number.POSITIVE_INFINITY }
  for (const params of shapesAt([w.rows, w.cols], rate, { patch: 64, steps: 0 })) {
    if (params.decoderWidth !== 3 || !wanted(params)) continue
    const encoded = wrapped
      ? await wrapped.encode(w, { inner: params }, ctx)
      : await autoencoder.encode(w, params, ctx)
    const error = relativeError(w, registry.decode(encoded as EncodedMatrix))
    if (error < best.error) best = { ...best, rate: rateOf(encoded, w), error }
  }
  return best
}

/** Rows and columns divided by their root mean squares, which are stored in half floats. */
async function ownScales(w: Matrix, rate: number): Promise<Found> {
  const [rows, cols] = [new Float32Array(w.rows), new Float32Array(w.cols)]
  for (const [i, v] of w.data.entries()) rows[Math.floor(i / w.cols)] += (v * v) / w.cols
  const rowScales = halfRoots(rows)
  for (const [i, v] of w.data.entries())
    cols[i % w.cols] += (v / rowScales[Math.floor(i / w.cols)]) ** 2 / w.rows
  const colScales = halfRoots(cols)
  const scaleAt = (i: number) => rowScales[Math.floor(i / w.cols)] * colScales[i % w.cols]
  const scaleRate = (16 * (w.rows + w.cols)) / sizeOf([w.rows, w.cols])
  const even = { ...w, data: w.data.map((v, i) => v / scaleAt(i)) }
  const { encoded } = await searchShape(even, rate - scaleRate, { patch: 64, steps: 0 }, ctx)
  const decoded = autoencoder.decode(encoded)
  const error = relativeError(w, { ...decoded, data: decoded.data.map((v, i) => v * scaleAt(i)) })
  return { what: 'rows and columns scaled', rate: rateOf(encoded, w) + scaleRate, error }
}

function halfRoots(squares: Float32Array): Float32Array {
  return f16ToF32(f32ToF16(squares.map(v => Math.sqrt(v) || 1)))
}

/** Trellis codes first, the autoencoder for what they leave. */
async function afterTrellis(w: Matrix, bits: number, rate: number): Promise<Found> {
  const codes = await trellis.encode(w, { bits, stateBits: 10, scale: 'row' }, ctx)
  const first = trellis.decode(codes)
  const { encoded } = await searchShape(minus(w, first), rate, { patch: 64, steps: 0 }, ctx)
  const error = relativeError(minus(w, first), autoencoder.decode(encoded)) * relativeError(w, first)
  return {
    what: `trellis of ${bits} bit, then autoencoder`,
    rate: rateOf(codes, w) + rateOf(encoded, w),
    error,
  }
}

/** The autoencoder first, trellis codes for what it leaves. */
async function beforeTrellis(w: Matrix, rate: number, bits: number): Promise<Found> {
  const { encoded } = await searchShape(w, rate, { patch: 64, steps: 0 }, ctx)
  const first = autoencoder.decode(encoded)
  const codes = await trellis.encode(minus(w, first), { bits, stateBits: 10, scale: 'row' }, ctx)
  const error = relativeError(minus(w, first), trellis.decode(codes)) * relativeError(w, first)
  return {
    what: `autoencoder, then trellis of ${bits} bit`,
    rate: rateOf(codes, w) + rateOf(encoded, w),
    error,
  }
}

function minus(a: Matrix, b: Matrix): Matrix {
  return { ...a, data: a.data.map((v, i) => v - b.data[i]) }
}

/** The smooth image with its columns in any order, the same in all rows. */
async function shuffledImage(): Promise<Matrix> {
  const image = await studyMatrices(undefined, 'packages/tiny/model')
    .find(m => m.name === 'smooth image')!
    .load()
  const { uniform } = random(9)
  const keys = Float32Array.from({ length: image.cols }, uniform)
  const order = Array.from(keys.keys()).sort((a, b) => keys[a] - keys[b])
  return {
    ...image,
    data: image.data.map((_, i) => image.data[i - (i % image.cols) + order[i % image.cols]]),
  }
}
