import { kmeans, nearestCentroid } from '@reallm/kernels'
import { type EncodeContext, type Matrix, type Random, random, zeroMatrix } from '@reallm/tensor-io'
import { type ImplicitParams, layerLevels, vectorBits } from '@reallm/tensor-io/layouts'
import { embedding, linear, type TfTensor, tf, useBackend } from '@reallm/transformer'
import {
  createDense,
  fakeQuantiseRows,
  gelu,
  minimise,
  type TrainedDense,
  toDense,
  variablesOf,
} from '../train.ts'
import { codeOf } from './table.ts'

/** Vectors that the fit uses, a random sample. */
const SAMPLE = 100_000

/**
 * Trains the implicit codebook on vectors `[n, dim]`: starts from residual k-means, then alternates nearest-entry assignment
 * and gradient steps towards the mean of each entry's vectors.
 */
export async function fitImplicit(
  vectors: Matrix,
  params: ImplicitParams,
  { seed, signal, onProgress }: EncodeContext,
) {
  await useBackend()
  const rng = random(seed)
  const points = sampleRows(vectors, SAMPLE, rng)
  const entries = 2 ** vectorBits(params)
  const codebooks = residualCodebooks(points, params, rng)
  const hidden = createDense(params.hidden, params.codeBits.length * params.dim, rng)
  const output = createDense(params.dim, params.hidden, rng, 0)
  const layers: TrainedDense[] = [...codebooks, hidden, output]
  const indices = params.codeBits.map((_, m) =>
    tf.tensor1d(
      Int32Array.from({ length: entries }, (_, e) => codeOf(e, m, params.codeBits)),
      'int32',
    ),
  )
  const rounded = ({ weight }: TrainedDense) => fakeQuantiseRows(weight, layerLevels(params.weightBits))
  const table = (): TfTensor => {
    const codewords = codebooks.map((c, m) => tf.add(embedding(tf.transpose(rounded(c)), indices[m]), c.bias))
    const inner = gelu(tf.add(linear(tf.concat(codewords, -1), rounded(hidden)), hidden.bias))
    return tf.addN([...codewords, tf.add(linear(inner, rounded(output)), output.bias)])
  }
  try {
    for (let round = 0; round < params.rounds; round++) {
      const current = tf.tidy(table)
      const centroids: Matrix = {
        rows: entries,
        cols: params.dim,
        data: (await current.data()) as Float32Array,
      }
      current.dispose()
      const { means, counts } = clusterMeans(points, nearestCentroid(points, centroids), entries)
      const target = tf.tensor2d(means.data, [entries, params.dim])
      const share = tf.tensor2d(
        counts.map(n => n / points.rows),
        [entries, 1],
      )
      await minimise(() => tf.sum(tf.mul(share, tf.square(tf.sub(table(), target)))), variablesOf(layers), {
        steps: params.steps,
        learningRate: params.learningRate,
        signal,
      })
      tf.dispose([target, share])
      onProgress?.({ event: 'step-end', done: round + 1, total: params.rounds })
    }
    return await Promise.all(layers.map(toDense))
  } finally {
    tf.dispose([...indices, ...variablesOf(layers)])
  }
}

/** Residual k-means: one codebook per code, each fitted to what the earlier ones leave. */
function residualCodebooks(points: Matrix, { dim, codeBits }: ImplicitParams, rng: Random): TrainedDense[] {
  const residual = { ...points, data: points.data.slice() }
  return codeBits.map(bits => {
    const entries = 2 ** bits
    const centroids = kmeans(residual, entries, { seed: rng.word(), iterations: 20 }).centroids
    const nearest = nearestCentroid(residual, centroids)
    for (let i = 0; i < residual.data.length; i++) {
      residual.data[i] -= centroids.data[nearest[Math.floor(i / dim)] * dim + (i % dim)]
    }
    const weight = tf.tidy(() => tf.variable(tf.transpose(tf.tensor2d(centroids.data, [entries, dim]))))
    return { weight, bias: tf.tidy(() => tf.variable(tf.zeros([dim]))) }
  })
}

function clusterMeans(points: Matrix, nearest: Uint32Array, entries: number) {
  const means = zeroMatrix(entries, points.cols)
  const counts = new Float32Array(entries)
  for (const entry of nearest) counts[entry]++
  for (let i = 0; i < points.data.length; i++) {
    const entry = nearest[Math.floor(i / points.cols)]
    means.data[entry * points.cols + (i % points.cols)] += points.data[i] / counts[entry]
  }
  return { means, counts }
}

function sampleRows(m: Matrix, most: number, rng: Random): Matrix {
  if (m.rows <= most) return m
  const out = zeroMatrix(most, m.cols)
  for (let i = 0; i < most; i++) {
    const row = rng.integer(m.rows)
    out.data.set(m.data.subarray(row * m.cols, (row + 1) * m.cols), i * m.cols)
  }
  return out
}
