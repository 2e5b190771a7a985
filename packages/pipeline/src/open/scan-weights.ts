import { compactTensor, type LongWork, sizeOf, type Tensor } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { createHash } from '#platform'
import { finiteChunks } from './finite-chunks.ts'
import type { MatrixModule, ModelParts } from './model-parts.ts'
import { unevenSides } from './uneven-sides.ts'

export interface ScannedWeights {
  /** The tensors that are stored as they are, in 16 bits where that loses nothing that matters. */
  readonly plain: Readonly<Record<string, Tensor>>
  /** SHA-256 of configuration, names, shapes and all weights. */
  readonly digest: string
  /** The matrices, those of layers with what was found about their norms. */
  readonly matrices: readonly MatrixModule[]
}

/**
 * Reads a model's weights once: refuses those that are not numbers, compares norms, and takes the digest that a resumed run is compared by.
 *
 * @throws `numeric` naming the tensor and the place of the first NaN or infinity
 */
export async function scanWeights(
  model: ModelWeights,
  parts: ModelParts,
  work: LongWork,
): Promise<ScannedWeights> {
  const hash = createHash('sha256').update(JSON.stringify(model.config.source))
  const plain: Record<string, Tensor> = {}
  const sides = new Map<string, ReturnType<typeof unevenSides>>()
  for (const { name, shape, layer } of parts.matrices)
    if (layer !== undefined) sides.set(`${name}.weight`, unevenSides(shape))
  let done = 0
  const shapes = new Map<string, readonly number[]>([
    ...parts.matrices.map(({ name, shape }) => [`${name}.weight`, shape] as const),
    ...parts.plain,
  ])
  for (const [name, shape] of shapes) {
    const kept = parts.plain.has(name) ? new Float32Array(sizeOf(shape)) : undefined
    hash.update(`${name} ${shape}`)
    for await (const { data, at } of finiteChunks(model, name, shape, work)) {
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      kept?.set(data, at)
      sides.get(name)?.add(data, at)
      done += data.length
      work.onProgress?.({ event: 'weights-read', name, done, total: parts.parameters })
    }
    if (kept) plain[name] = compactTensor(shape, kept)
  }
  const matrices = parts.matrices.map(module => {
    const uneven = sides.get(`${module.name}.weight`)?.found()
    return uneven ? { ...module, uneven } : module
  })
  return { plain, digest: hash.digest('hex'), matrices }
}
