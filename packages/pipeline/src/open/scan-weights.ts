import { compactTensor, type LongWork, sizeOf, type Tensor } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { createHash } from '#platform'
import { finiteChunks } from './finite-chunks.ts'
import type { ModelParts } from './model-parts.ts'

export interface ScannedWeights {
  /** The tensors that are stored as they are, in 16 bits where that loses nothing that matters. */
  readonly plain: Readonly<Record<string, Tensor>>
  /** SHA-256 of configuration, names, shapes and all weights. */
  readonly digest: string
}

/**
 * Reads a model's weights once: refuses those that are not numbers, and takes the digest that a resumed run is compared by.
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
      done += data.length
      work.onProgress?.({ event: 'weights-read', name, done, total: parts.parameters })
    }
    if (kept) plain[name] = compactTensor(shape, kept)
  }
  return { plain, digest: hash.digest('hex') }
}
