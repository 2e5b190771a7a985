import type { Backend } from '../../../packages/runtime/src/backend/backend.ts'
import type { Vector, Weight } from '../../../packages/runtime/src/backend/weight.ts'
import type { DecoderWeights, LoadedModule } from '../../../packages/runtime/src/weights.ts'
import { trellisWords } from '../../../packages/tensor-io/src/codec/layouts/trellis-segments.ts'
import { type EncodedMatrix, random, tensor } from '../../../packages/tensor-io/src/index.ts'
import {
  linearModules,
  normsOf,
  type TransformerConfig,
} from '../../../packages/tensor-io/src/models/index.ts'

export interface RandomOptions {
  /** Bits per weight of layers; the embedding has 4. */
  readonly bits: number
  readonly stateBits: number
}

/**
 * Weights of a shape from random codes, rotated as `compress` stores them, in seconds whatever the size: all matrices read
 * the same random words. Columns have two rates next to each other where `bits` is no quarter.
 */
export async function randomWeights(
  backend: Backend,
  config: TransformerConfig,
  { bits, stateBits }: RandomOptions,
): Promise<DecoderWeights> {
  const { hiddenSize, vocabSize, tiedHead, norm } = config
  const sizes = [
    trellisWords(vocabSize, hiddenSize, 4),
    ...config.layerSpecs.flatMap((_, i) =>
      linearModules(config, i).map(({ shape: [r, c] }) => trellisWords(r, c, bits)),
    ),
  ]
  const pool = new Uint32Array(Math.max(...sizes))
  const draw = random(1)
  for (let i = 0; i < pool.length; i++) pool[i] = draw.word()

  const matrix = (rows: number, cols: number, rate: number, isEmbedding: boolean): Promise<Weight> => {
    const tiles = Math.ceil(cols / 16)
    const quarters = Math.round(4 * rate * tiles)
    const rates = Uint8Array.from(
      { length: tiles },
      (_, t) => Math.floor((quarters * (t + 1)) / tiles) - Math.floor((quarters * t) / tiles),
    ).sort()
    const words = trellisWords(rows, cols, rate)
    const scale = Float32Array.of(1 / Math.sqrt(cols))
    const inner: EncodedMatrix = {
      codec: 'trellis',
      params: { bits: rate, stateBits },
      shape: [rows, cols],
      parts: {
        rates: tensor('U8', [tiles], rates),
        codes: tensor('U32', [words], pool.subarray(0, words)),
        scales: tensor('F32', [1, 1], scale),
      },
    }
    const seed = tensor('U32', [1], Uint32Array.of(rows + cols))
    const params = { input: true, output: !isEmbedding, inner: inner.params }
    const stored: EncodedMatrix = { codec: 'rotation', params, shape: [rows, cols], parts: { seed }, inner }
    return backend.weight({ kind: 'stored', stored }, 'packed')
  }

  const embedding = await matrix(vocabSize, hiddenSize, 4, true)
  const modules = new Map<string, LoadedModule>()
  const norms = new Map<string, Vector>()
  const ones = (width: number) => backend.vector(new Float32Array(width).fill(1))
  for (const [i, spec] of config.layerSpecs.entries()) {
    for (const { name, shape } of linearModules(config, i)) {
      modules.set(name, { weight: await matrix(...shape, bits, false), bias: undefined })
    }
    for (const { name, width } of normsOf(spec)) norms.set(name, ones(width))
  }
  norms.set(norm.name, ones(norm.width))
  const head = tiedHead ? embedding : await matrix(vocabSize, hiddenSize, 4, true)
  return { embedding, head, modules, norms, parameters: new Map(), routers: new Map() }
}
