import { outputError } from '@reallm/kernels'
import { type Configuration, configuration } from '@reallm/pipeline'
import { bitsPerWeight, type Matrix } from '@reallm/tensor-io'
import { e8, grid, kmeans, normalfloat, rotated, trellis } from '@reallm/vq'
import type { CodecChoice } from './codecs.ts'

/** One corner of a matrix, to be looked at. */
export interface Corner {
  readonly rows: number
  readonly cols: number
  readonly values: Float32Array<ArrayBuffer>
}

export interface EncodedView {
  readonly original: Corner
  readonly decoded: Corner
  readonly error: Corner
  /** Everything stored, per weight. */
  readonly bits: number
  /** ‖W − Ŵ‖² / ‖W‖² */
  readonly relativeError: number
  readonly seconds: number
}

/** One point of an error curve. */
export type CurvePoint = Pick<EncodedView, 'bits' | 'relativeError'> & { readonly rate: number }

const codecs: Record<CodecChoice['id'], (rate: number) => Configuration> = {
  trellis: bits => configuration({ id: 'trellis', codec: rotated(trellis), params: { inner: { bits } } }),
  e8: bits => configuration({ id: 'e8', codec: rotated(e8), params: { inner: { bits: bits as 2 | 3 | 4 } } }),
  vectors: bits => configuration({ id: 'vectors', codec: kmeans, params: { bits, dim: 2 } }),
  normalfloat: bits => configuration({ id: 'normalfloat', codec: normalfloat, params: { bits } }),
  grid: bits => configuration({ id: 'grid', codec: grid, params: { bits } }),
}

async function encode(w: Matrix, id: CodecChoice['id'], rate: number, signal: AbortSignal) {
  const codec = codecs[id](rate)
  const started = performance.now()
  const encoded = await codec.encode(w, { seed: 0, signal })
  const decoded = codec.decode(encoded)
  const seconds = (performance.now() - started) / 1000
  return { decoded, bits: bitsPerWeight(encoded), relativeError: outputError(w, decoded), seconds }
}

/** Encodes a matrix, decodes it again and shows a corner of both. */
export async function viewOf(
  w: Matrix,
  id: CodecChoice['id'],
  rate: number,
  signal: AbortSignal,
): Promise<EncodedView> {
  const { decoded, ...measured } = await encode(w, id, rate, signal)
  const lost = { ...w, data: w.data.map((v, i) => v - decoded.data[i]) }
  return { original: cornerOf(w), decoded: cornerOf(decoded), error: cornerOf(lost), ...measured }
}

/** The error at a rate. */
export async function pointOf(
  w: Matrix,
  id: CodecChoice['id'],
  rate: number,
  signal: AbortSignal,
): Promise<CurvePoint> {
  const { bits, relativeError } = await encode(w, id, rate, signal)
  return { rate, bits, relativeError }
}

const cornerSize = 96

function cornerOf({ rows, cols, data }: Matrix): Corner {
  const [height, width] = [Math.min(rows, cornerSize), Math.min(cols, cornerSize)]
  const values = new Float32Array(height * width)
  for (let r = 0; r < height; r++) values.set(data.subarray(r * cols, r * cols + width), r * width)
  return { rows: height, cols: width, values }
}
