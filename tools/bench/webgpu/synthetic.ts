import { trellisWords } from '../../../packages/tensor-io/src/codec/layouts/trellis-segments.ts'
import {
  createArtifactWriter,
  type EncodedMatrix,
  f32ToBf16,
  random,
  tensor,
} from '../../../packages/tensor-io/src/index.ts'
import { linearModules, normsOf, parseConfig } from '../../../packages/tensor-io/src/models/index.ts'
import { configOf, type ShapeName } from './shapes.ts'

export interface SyntheticOptions {
  /** Bits per weight of layers; embedding and head have 4. */
  readonly bits: number
  readonly stateBits: number
  /** Layers, all of the shape unless told otherwise. */
  readonly layers?: number | undefined
  readonly maxShardBytes?: number | undefined
}

/**
 * Writes an artifact of a shape from random codes, rotated as `compress` stores them, in seconds whatever the size: each matrix
 * is a stretch of the same random words. Columns have two rates next to each other where `bits` is no quarter.
 */
export async function writeSynthetic(
  dir: string,
  shape: ShapeName,
  options: SyntheticOptions,
): Promise<void> {
  const { bits, stateBits, maxShardBytes = 2 ** 27 } = options
  const json = configOf(shape, options.layers)
  const config = await parseConfig(json)
  const { hiddenSize, vocabSize, tiedHead, norm } = config
  const layers = config.layerSpecs.map((spec, i) => ({
    modules: linearModules(config, i),
    norms: normsOf(spec),
  }))
  const sizes = layers[0].modules.map(({ shape: [rows, cols] }) => trellisWords(rows, cols, bits))
  const pool = new Uint32Array(Math.max(trellisWords(vocabSize, hiddenSize, 4), ...sizes) + 2 ** 16)
  const draw = random(1)
  for (let i = 0; i < pool.length; i++) pool[i] = draw.word()
  const writer = await createArtifactWriter(dir, { config: json, maxShardBytes })
  let made = 0

  const matrix = (name: string, [rows, cols]: readonly [number, number], rate: number) => {
    const tiles = Math.ceil(cols / 16)
    const quarters = Math.round(4 * rate * tiles)
    const rates = Uint8Array.from(
      { length: tiles },
      (_, t) => Math.floor((quarters * (t + 1)) / tiles) - Math.floor((quarters * t) / tiles),
    ).sort()
    const words = trellisWords(rows, cols, rate)
    // Matrices of equal contents would be stored once.
    const from = made++
    const inner: EncodedMatrix = {
      codec: 'trellis',
      params: { bits: rate, stateBits },
      shape: [rows, cols],
      parts: {
        rates: tensor('U8', [tiles], rates),
        codes: tensor('U32', [words], pool.subarray(from, from + words)),
        scales: tensor('F32', [1, 1], Float32Array.of(1 / Math.sqrt(cols))),
      },
    }
    const isEmbedding = rows === vocabSize
    const params = { input: true, output: !isEmbedding, inner: inner.params }
    const seed = tensor('U32', [1], Uint32Array.of(rows + cols))
    return writer.addMatrix(name, { codec: 'rotation', params, shape: [rows, cols], parts: { seed }, inner })
  }
  const ones = (name: string, width: number) =>
    writer.addTensor(`${name}.weight`, tensor('BF16', [width], f32ToBf16(new Float32Array(width).fill(1))))

  await matrix('model.embed_tokens', [vocabSize, hiddenSize], 4)
  for (const { modules, norms } of layers) {
    for (const { name, shape } of modules) await matrix(name, shape, bits)
    for (const { name, width } of norms) await ones(name, width)
  }
  await ones(norm.name, norm.width)
  if (!tiedHead) await matrix('lm_head', [vocabSize, hiddenSize], 4)
  await writer.finish()
}
