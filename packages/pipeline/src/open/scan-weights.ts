import {
  compactTensor,
  type LongWork,
  placeText,
  ReallmError,
  sizeOf,
  type Tensor,
  throwIfAborted,
} from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import { createHash } from '#platform'
import type { ModelParts } from './model-parts.ts'

export interface ScannedWeights {
  /** The tensors that are stored as they are, in 16 bits where that loses nothing that matters. */
  readonly plain: Readonly<Record<string, Tensor>>
  /** SHA-256 of configuration, names, shapes and all weights. */
  readonly digest: string
}

/** Weights read at a time. */
const chunk = 1 << 22

/**
 * Reads a model's weights once: refuses those that are not numbers, and takes the digest that a resumed run is compared by.
 *
 * @throws `numeric` naming the tensor and the place of the first NaN or infinity
 */
export async function scanWeights(
  model: ModelWeights,
  parts: ModelParts,
  { signal, onProgress }: LongWork,
): Promise<ScannedWeights> {
  const hash = createHash('sha256').update(JSON.stringify(model.config.source))
  const plain: Record<string, Tensor> = {}
  const shapes = new Map<string, readonly number[]>([
    ...parts.matrices.map(({ name, shape }) => [`${name}.weight`, shape] as const),
    ...parts.plain,
  ])
  const total = parts.parameters
  let done = 0
  for (const [name, shape] of shapes) {
    const rows = shape[0]
    const width = sizeOf(shape) / rows
    const step = Math.max(1, Math.floor(chunk / width))
    const kept = parts.plain.has(name) ? new Float32Array(sizeOf(shape)) : undefined
    hash.update(`${name} ${shape}`)
    for (let from = 0; from < rows; from += step) {
      throwIfAborted(signal)
      const { data } = await model.read(name, [from, Math.min(rows, from + step)])
      requireFinite(name, shape, data, from * width)
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
      kept?.set(data, from * width)
      done += data.length
      onProgress?.({ event: 'weights-read', name, done, total })
    }
    if (kept) plain[name] = compactTensor(shape, kept)
  }
  return { plain, digest: hash.digest('hex') }
}

function requireFinite(name: string, shape: readonly number[], data: Float32Array, offset: number): void {
  for (let i = 0; i < data.length; i++) {
    if (Number.isFinite(data[i])) continue
    const place = placeText(shape, offset + i)
    throw new ReallmError('numeric', `${name} [${shape.join('×')}] holds ${data[i]} at ${place}`, {
      hint: 'the weights are damaged: fetch or export the model again',
    })
  }
}
