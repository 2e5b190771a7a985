import { type Images, inverse, matmul } from '@reallm/kernels'
import { type EncodeContext, type Matrix, random, seedFor, zeroMatrix } from '@reallm/tensor-io'
import { type AutoencoderParams, type DenseLayer, readLayers } from '@reallm/tensor-io/layouts'
import { embedding, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { packLayers } from '../pack-layers.ts'
import { minimise, setDense, type TrainedDense, toDense, variablesOf } from '../train.ts'
import { evenGrid, fittedGrid, gainsOf, type LatentGrid, principalBasis } from './latents.ts'
import { createDecoder, createEncoder, decode, encode, encoderLayers, quantiseLatents } from './network.ts'

/** A decoder in its stored precision with the grid of its latents: the part that matrices share. */
export interface FittedDecoder {
  readonly grid: LatentGrid
  readonly layers: readonly DenseLayer[]
}

/** The part of an encode context that training uses. */
export type TrainingContext = Pick<EncodeContext, 'seed' | 'signal' | 'onProgress' | 'checkpoint'>

/** Latent codes `[count, h, w, latentWidth]`, their grid, and the decoder's weights before storage. */
export interface TrainedNerv extends FittedDecoder {
  readonly codes: Uint16Array
  /** Loss of every step: squared error relative to the patches' energy. */
  readonly losses: number[]
}

/**
 * Trains an autoencoder on patches (ReALLM, arXiv 2405.13155 §3.3). With `start: 'principal'` latents start as principal
 * components of blocks of `2^stages` pixels, and the decoder as their linear path. With `'encoder'` the first half of the steps
 * trains an encoder, which is then dropped. The remaining steps train latents and decoder.
 *
 * @param importance weight of each pixel's squared error, same length as the patches
 * @param fitted a decoder that stays fixed: only latents are trained
 */
export async function trainNerv(
  patches: Images,
  importance: Float32Array,
  params: AutoencoderParams,
  { seed, signal, onProgress, checkpoint }: TrainingContext,
  fitted?: FittedDecoder,
): Promise<TrainedNerv> {
  await useBackend()
  const rng = random(seed)
  const { count, height } = patches
  const pixels = height * height
  const side = height / 2 ** params.stages
  const width = side * side * params.latentWidth
  const batch = Math.min(params.batch, count)
  const linear = params.start === 'principal'
  const kept: TfTensor[] = []
  const keep = <T extends TfTensor>(t: T): T => {
    kept.push(t)
    return t
  }
  try {
    const targets = keep(tf.tensor2d(patches.data, [count, pixels]))
    const weights = keep(tf.tensor2d(importance, [count, pixels]))
    const energy = energyOf(patches.data, importance) / (count * pixels)
    const decoder = createDecoder(params, rng)
    for (const [i, { weight, bias }] of decoder.entries()) {
      keep(weight)
      keep(bias)
      if (fitted) tf.tidy(() => setDense(decoder[i], fitted.layers[i]))
    }
    const images = (rows: TfTensor, channels: number, side: number) =>
      rows.reshape([-1, side, side, channels])
    // The patches of a step depend only on its number, so that a training can resume anywhere.
    const pick = (stage: string, step: number) => {
      const { integer } = random(seedFor(seed, `${stage} ${step}`))
      return tf.tensor1d(
        Int32Array.from({ length: batch }, () => integer(count)),
        'int32',
      )
    }
    const storeOf = async (stage: string) => {
      if (!checkpoint) return undefined
      const { fingerprint } = await import('../training-state.ts')
      const given = fitted ? fitted.layers.flatMap(({ weight, bias }) => [weight.data, bias]) : []
      const reached = [patches.data, importance, ...given]
      return checkpoint(`${stage}-${fingerprint(reached, JSON.stringify([params, seed]))}`)
    }
    const lossOf = (latents: TfTensor, ids: TfTensor, grid: LatentGrid) => {
      const output = decode(quantiseLatents(latents, grid.bits), gainsOf(grid), decoder, params)
      const squares = tf.square(tf.sub(output.reshape([batch, pixels]), embedding(targets, ids)))
      return tf.div(tf.mean(tf.mul(squares, embedding(weights, ids))), energy)
    }
    const half = linear ? 0 : Math.ceil(params.steps / 2)
    const options = {
      learningRate: params.learningRate,
      patience: params.patience,
      signal,
    }
    const report = (before: number) =>
      onProgress && {
        onProgress: (e: Parameters<typeof onProgress>[0]) =>
          onProgress({ ...e, done: e.done + before, total: params.steps }),
      }

    const losses: number[] = []
    let grid: LatentGrid
    let start: Float32Array
    if (fitted) {
      grid = fitted.grid
      start = coordinatesOf(blocksOf(patches.data, height, 2 ** params.stages), fitted, params)
    } else if (linear) {
      ;({ grid, start } = await startFromBlocks(patches, importance, decoder.at(-1)!, params))
    } else {
      grid = evenGrid(params.latentWidth, params.latentBits)
      const encoder = createEncoder(params, rng)
      for (const { weight, bias } of encoderLayers(encoder)) {
        keep(weight)
        keep(bias)
      }
      const first = await minimise(
        step => {
          const ids = pick('encoder', step)
          return lossOf(tf.tanh(encode(images(embedding(targets, ids), 1, height), encoder)), ids, grid)
        },
        variablesOf([...decoder, ...encoderLayers(encoder)]),
        { ...options, ...report(0), steps: half, checkpoint: await storeOf('encoder') },
      )
      losses.push(...first)
      const encoded = keep(tf.tidy(() => encodedLatents(targets, encoder, count, height, width)))
      start = (await encoded.data()) as Float32Array
    }

    // Latents are trained in units of their grid step; the linear path stays fixed.
    const before = keep(tf.tensor2d(start, [count, width]))
    const change = keep(tf.tidy(() => tf.variable(tf.zeros([count, width]))))
    const steps = keep(tf.tensor1d(Float32Array.from({ length: width }, (_, i) => stepOf(grid.bits, i))))
    const latentsOf = (ids: TfTensor) =>
      images(tf.add(embedding(before, ids), tf.mul(embedding(change, ids), steps)), params.latentWidth, side)
    const wholeLoss = async (): Promise<number> => {
      let sum = 0
      for (let from = 0; from < count; from += batch) {
        const loss = tf.tidy(() => {
          const ids = tf.tensor1d(
            Int32Array.from({ length: batch }, (_, i) => (from + i) % count),
            'int32',
          )
          return lossOf(latentsOf(ids), ids, grid)
        })
        sum += (await loss.data())[0]
        loss.dispose()
      }
      return sum
    }

    const mayKeep = linear && params.steps > 0
    const untrained = mayKeep ? await wholeLoss() : Number.POSITIVE_INFINITY
    // The linear path stays fixed, so that latents keep their meaning.
    const free = fitted ? [] : linear ? decoder.slice(0, -1) : decoder
    const trained = await minimise(
      step => {
        const ids = pick('latents', step)
        return lossOf(latentsOf(ids), ids, grid)
      },
      [change, ...variablesOf(free)],
      { ...options, ...report(half), steps: params.steps - half, checkpoint: await storeOf('latents') },
    )
    if (mayKeep && (await wholeLoss()) >= untrained) {
      // Principal components alone were better.
      const head = fitted ? [] : variablesOf([decoder[params.stages + 1]])
      for (const v of [change, ...head]) tf.tidy(() => v.assign(tf.zerosLike(v)))
    }
    const latents = keep(tf.tidy(() => tf.add(before, tf.mul(change, steps))))
    return {
      codes: codesOf((await latents.data()) as Float32Array, grid.bits),
      grid,
      layers: await Promise.all(decoder.map(toDense)),
      losses: [...losses, ...trained],
    }
  } finally {
    tf.dispose(kept)
  }
}

/**
 * Sets the linear path to the principal components of the patches' blocks, rounded to b_φ bits. Latents are the coordinates along
 * the rounded components, in units of their gains.
 */
async function startFromBlocks(
  patches: Images,
  importance: Float32Array,
  linear: TrainedDense,
  { stages, latentWidth, latentBits, weightBits }: AutoencoderParams,
): Promise<{ grid: LatentGrid; start: Float32Array }> {
  const block = 2 ** stages
  const blocks = blocksOf(patches.data, patches.height, block)
  const shares = blocksOf(importance, patches.height, block)
  const weights = Float32Array.from({ length: blocks.rows }, (_, i) =>
    shares.data.subarray(i * shares.cols, (i + 1) * shares.cols).reduce((sum, v) => sum + v, 0),
  )
  const width = Math.min(latentWidth, block * block)
  const basis = storedBasis(principalBasis(blocks, weights, width), weightBits)
  const padded = zeroMatrix(block * block, latentWidth)
  for (let i = 0; i < block * block; i++)
    padded.data.set(basis.data.subarray(i * width, (i + 1) * width), i * latentWidth)
  tf.tidy(() => linear.weight.assign(tf.tensor2d(padded.data, [block * block, latentWidth])))
  const latents = alongBasis(blocks, basis, latentWidth)
  const grid = fittedGrid(latents, weights, latentWidth * latentBits)
  return { grid, start: inGains(latents, grid) }
}

/** Latents of blocks `[n, pixels]` for a given decoder, in units of its gains. */
function coordinatesOf(
  blocks: Matrix,
  { grid, layers }: FittedDecoder,
  { latentWidth }: AutoencoderParams,
): Float32Array {
  const path = layers.at(-1)!.weight
  const width = Math.min(latentWidth, path.rows)
  const basis = zeroMatrix(path.rows, width)
  for (let i = 0; i < path.rows; i++)
    basis.data.set(path.data.subarray(i * latentWidth, i * latentWidth + width), i * width)
  return inGains(alongBasis(blocks, basis, latentWidth), grid)
}

/** Least-squares coordinates of blocks along a rounded, nearly orthonormal basis, `[n, latentWidth]`. */
function alongBasis(blocks: Matrix, basis: Matrix, latentWidth: number): Matrix {
  const along = matmul(blocks, basis)
  const unmixed = inverse(matmul(basis, basis, { transposeA: true }))
  const coordinates = unmixed ? matmul(along, unmixed) : along
  const latents = zeroMatrix(blocks.rows, latentWidth)
  for (let i = 0; i < blocks.rows; i++)
    latents.data.set(coordinates.data.subarray(i * basis.cols, (i + 1) * basis.cols), i * latentWidth)
  return latents
}

function inGains({ data, cols }: Matrix, grid: LatentGrid): Float32Array {
  const gains = gainsOf(grid)
  return data.map((v, i) => Math.max(-1, Math.min(1, v / gains[i % cols])))
}

/** A basis in its stored precision. */
function storedBasis(basis: Matrix, bits: number): Matrix {
  const shape = [basis.rows, basis.cols] as const
  const parts = packLayers([{ weight: basis, bias: new Float32Array(basis.rows) }], bits)
  return readLayers(parts, [shape], bits)[0].weight
}

/** Cuts patches `[count, height, height]` into blocks of `block × block` pixels, a row each. */
function blocksOf(data: Float32Array, height: number, block: number): Matrix {
  const side = height / block
  const out = zeroMatrix(data.length / (block * block), block * block)
  for (let i = 0; i < data.length; i += block) {
    const x = (i % height) / block
    const line = Math.floor(i / height)
    const [n, y] = [Math.floor(line / height), line % height]
    const row = (n * side + Math.floor(y / block)) * side + x
    out.data.set(data.subarray(i, i + block), row * out.cols + (y % block) * block)
  }
  return out
}

/** The encoder's latents of all patches, `[count, width]`, a few patches at a time. */
function encodedLatents(
  targets: TfTensor,
  encoder: ReturnType<typeof createEncoder>,
  count: number,
  height: number,
  width: number,
) {
  const parts: TfTensor[] = []
  for (let i = 0; i < count; i += 16) {
    const n = Math.min(16, count - i)
    const part = tf.slice(targets, [i, 0], [n, height * height]).reshape([n, height, height, 1])
    parts.push(tf.tanh(encode(part, encoder)).reshape([n, width]))
  }
  return tf.concat(parts, 0)
}

/** Unit of a latent's trained change: ten steps of its grid. */
const stepOf = (bits: Uint8Array, i: number): number => 20 / 2 ** Math.max(1, bits[i % bits.length])

/** Codes of latents in [−1, 1]. */
const codesOf = (latents: Float32Array, bits: Uint8Array): Uint16Array =>
  Uint16Array.from(latents, (u, i) =>
    Math.round(((Math.max(-1, Math.min(1, u)) + 1) / 2) * (2 ** bits[i % bits.length] - 1)),
  )

function energyOf(values: Float32Array, importance: Float32Array): number {
  let energy = 1e-20
  for (let i = 0; i < values.length; i++) energy += importance[i] * values[i] ** 2
  return energy
}
