import type { Dense, Images } from '@reallm/kernels'
import { type EncodeContext, random } from '@reallm/tensor-io'
import { embedding, type TfTensor, tf, useBackend } from '@reallm/transformer'
import { minimise, toDense, variablesOf } from '../train.ts'
import { createDecoder, createEncoder, decode, encode, encoderLayers, quantiseLatents } from './network.ts'
import type { NervParams } from './params.ts'

/** Latent codes `[count, h, w, latentWidth]` and the decoder's weights before storage. */
export interface TrainedNerv {
  readonly codes: Uint16Array
  readonly layers: Dense[]
  /** Loss of every step: squared error relative to the patches' energy. */
  readonly losses: number[]
}

/**
 * Trains an autoencoder on one matrix's patches (ReALLM §3.3): the first half with the encoder, which finds latents fast;
 * then the encoder is dropped and the latents themselves are trained with the decoder.
 *
 * @param importance weight of each pixel's squared error, same length as the patches
 */
export async function trainNerv(
  patches: Images,
  importance: Float32Array | undefined,
  params: NervParams,
  { seed, signal, onProgress }: EncodeContext,
): Promise<TrainedNerv> {
  await useBackend()
  const rng = random(seed)
  const { count, height } = patches
  const pixels = height * height
  const side = height / 2 ** params.stages
  const width = side * side * params.latentWidth
  const batch = Math.min(params.batch, count)
  const kept: TfTensor[] = []
  const keep = <T extends TfTensor>(t: T): T => {
    kept.push(t)
    return t
  }
  try {
    const targets = keep(tf.tensor2d(patches.data, [count, pixels]))
    const weights = importance && keep(tf.tensor2d(importance, [count, pixels]))
    const energy = energyOf(patches.data, importance) / (count * pixels)
    const decoder = createDecoder(params, rng)
    const encoder = createEncoder(params, rng)
    for (const { weight, bias } of [...decoder, ...encoderLayers(encoder)]) {
      keep(weight)
      keep(bias)
    }
    const images = (rows: TfTensor, channels: number, side: number) =>
      rows.reshape([-1, side, side, channels])
    const pick = () =>
      tf.tensor1d(
        Int32Array.from({ length: batch }, () => rng.integer(count)),
        'int32',
      )
    const lossOf = (latents: TfTensor, ids: TfTensor) => {
      const output = decode(quantiseLatents(latents, params.latentBits), decoder, params).reshape([
        batch,
        pixels,
      ])
      const squares = tf.square(tf.sub(output, embedding(targets, ids)))
      return tf.div(tf.mean(weights ? tf.mul(squares, embedding(weights, ids)) : squares), energy)
    }
    const half = Math.ceil(params.steps / 2)
    const options = { learningRate: params.learningRate, ...(signal && { signal }) }
    const report = (before: number) =>
      onProgress && {
        onProgress: (e: Parameters<typeof onProgress>[0]) =>
          onProgress({ ...e, done: e.done + before, total: params.steps }),
      }

    const first = await minimise(
      () => {
        const ids = pick()
        return lossOf(encode(images(embedding(targets, ids), 1, height), encoder), ids)
      },
      variablesOf([...decoder, ...encoderLayers(encoder)]),
      { ...options, ...report(0), steps: half },
    )

    const latents = keep(tf.tidy(() => tf.variable(startLatents(targets, encoder, count, height, width))))
    const second = await minimise(
      () => {
        const ids = pick()
        return lossOf(images(embedding(latents, ids), params.latentWidth, side), ids)
      },
      [latents, ...variablesOf(decoder)],
      { ...options, ...report(half), steps: params.steps - half },
    )
    return {
      codes: await codesOf(latents, params.latentBits),
      layers: await Promise.all(decoder.map(toDense)),
      losses: [...first, ...second],
    }
  } finally {
    tf.dispose(kept)
  }
}

/** The encoder's latents of all patches, `[count, width]`, a few patches at a time. */
function startLatents(
  targets: TfTensor,
  encoder: ReturnType<typeof createEncoder>,
  count: number,
  height: number,
  width: number,
) {
  return tf.tidy(() => {
    const parts: TfTensor[] = []
    for (let i = 0; i < count; i += 16) {
      const n = Math.min(16, count - i)
      const part = tf.slice(targets, [i, 0], [n, height * height]).reshape([n, height, height, 1])
      parts.push(encode(part, encoder).reshape([n, width]))
    }
    return tf.concat(parts, 0)
  })
}

async function codesOf(latents: TfTensor, bits: number): Promise<Uint16Array> {
  const values = tf.tidy(() => tf.round(tf.mul(tf.add(tf.tanh(latents), 1), (2 ** bits - 1) / 2)))
  const codes = Uint16Array.from(await values.data())
  values.dispose()
  return codes
}

function energyOf(values: Float32Array, importance: Float32Array | undefined): number {
  let energy = 1e-20
  for (let i = 0; i < values.length; i++) energy += (importance?.[i] ?? 1) * values[i] ** 2
  return energy
}
