import type { CheckpointStore } from '../core/checkpoint-store.ts'
import { ReallmError } from '../core/errors.ts'
import type { Tensor } from '../core/tensor.ts'
import { encodeSafetensors, openSafetensors } from './safetensors/index.ts'
import { openFileSource, writeFileAtomic } from './source/disk.ts'
import { bytesSource, readAll } from './source/index.ts'

/** What a run needs to go on as if it had never stopped. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number
  /** What must not change between runs, as JSON. */
  readonly options: Readonly<Record<string, unknown>>
  /** Parameters (`p.`) and optimiser state (`o.`). */
  readonly tensors: ReadonlyMap<string, Tensor<'F32'>>
  /** What the caller tracks, as JSON: best validation loss, … */
  readonly notes: Readonly<Record<string, unknown>>
}

/** A checkpoint in one file, written under a temporary name and renamed. */
export const fileStore = (path: string): CheckpointStore => ({
  async load() {
    try {
      const source = await openFileSource(path)
      const bytes = await readAll(source)
      await source.close()
      return bytes
    } catch (cause) {
      if (cause instanceof ReallmError && cause.code === 'not-found') return undefined
      throw cause
    }
  },
  save: bytes => writeFileAtomic(path, bytes),
})

/** The checkpoint as a safetensors file. */
export function encodeCheckpoint({ step, options, tensors, notes }: Checkpoint): Uint8Array<ArrayBuffer> {
  const metadata = { format: 'reallm-checkpoint-1', state: JSON.stringify({ step, options, notes }) }
  return encodeSafetensors(Object.fromEntries(tensors), metadata)
}

/** @throws `bad-file` when the bytes are no checkpoint of ours. */
/** Reads what `encodeCheckpoint` wrote. */
export async function decodeCheckpoint(bytes: Uint8Array<ArrayBuffer>): Promise<Checkpoint> {
  const file = await openSafetensors(bytesSource('checkpoint', bytes))
  if (file.metadata.format !== 'reallm-checkpoint-1') {
    throw new ReallmError('bad-file', 'this safetensors file is not a training checkpoint')
  }
  const tensors = new Map<string, Tensor<'F32'>>()
  for (const name of file.tensors.keys()) tensors.set(name, await file.readFloat32(name))
  return { ...(JSON.parse(file.metadata.state) as Omit<Checkpoint, 'tensors'>), tensors }
}

/** Refuses to go on with options that differ from those of the run so far, naming both values. */
export function checkUnchanged(before: Checkpoint['options'], now: Checkpoint['options']): void {
  for (const key of new Set([...Object.keys(before), ...Object.keys(now)])) {
    const [old, wanted] = [JSON.stringify(before[key]), JSON.stringify(now[key])]
    if (old !== wanted) {
      throw new ReallmError(
        'changed-option',
        `the checkpoint was made with ${key} = ${old}, now it is ${wanted}`,
        {
          hint: 'resume with the old value, or start anew without the checkpoint',
        },
      )
    }
  }
}
