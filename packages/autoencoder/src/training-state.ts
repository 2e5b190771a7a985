import { type CheckpointStore, decodeCheckpoint, encodeCheckpoint, seedFor } from '@reallm/tensor-io'
import { type AdamW, assign, type Parameters, toTensor } from '@reallm/transformer/adamw'

/** Progress of a training. */
export interface Progress {
  readonly losses: readonly number[]
  /** The smoothed loss; the least one so far and its step. */
  readonly smooth?: number
  readonly best?: { readonly loss: number; readonly step: number }
}

/** Saves parameters, optimiser state and progress; `restoreTraining` resumes from them bit for bit. */
export async function saveTraining(
  store: CheckpointStore,
  optimizer: AdamW,
  parameters: Parameters,
  progress: Progress,
): Promise<void> {
  const tensors = await optimizer.state()
  for (const [name, parameter] of parameters) tensors.set(`${name}.value`, await toTensor(parameter))
  const step = progress.losses.length
  await store.save(encodeCheckpoint({ step, options: {}, tensors, notes: { ...progress } }))
}

/** Restores the saved state of parameters and optimiser; undefined where nothing was saved. */
export async function restoreTraining(
  store: CheckpointStore,
  optimizer: AdamW,
  parameters: Parameters,
): Promise<Progress | undefined> {
  const bytes = await store.load()
  if (!bytes) return undefined
  const { step, tensors, notes } = await decodeCheckpoint(bytes)
  for (const [name, parameter] of parameters) assign(parameter, tensors, `${name}.value`)
  optimizer.restore(tensors, step)
  return notes as Readonly<Record<string, unknown>> & Progress
}

/** Identifies a training by its targets and settings. */
export function fingerprint(data: readonly Float32Array[], settings: string): string {
  let hash = seedFor(0, settings)
  for (const values of data) {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
    for (let i = 0; i < words.length; i++) hash = Math.imul(hash ^ words[i], 16777619)
  }
  return (hash >>> 0).toString(16)
}
