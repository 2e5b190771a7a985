import { ReallmError } from '../../core/errors.ts'
import { type Tensor, tensorBytes } from '../../core/tensor.ts'
import { type AtomicFile, createAtomicFile } from '../source/atomic-file.ts'
import { findTensor } from '../store.ts'
import { layOut, type PlannedTensors } from './layout.ts'

/** Writes a safetensors file tensor by tensor. */
export interface SafetensorsWriter {
  readonly path: string
  /** Size of the finished file, in bytes. */
  readonly bytes: number
  /** Writes one planned tensor to its place; the order is free. */
  write(name: string, tensor: Tensor): Promise<void>
  /** Flushes and renames the file into place; throws `bad-tensor` when a planned tensor is missing. */
  finish(): Promise<void>
  /** Deletes what was written. */
  abort(): Promise<void>
}

/**
 * Writes a safetensors file tensor by tensor, holding none of them. The file has a temporary name until
 * `finish`; a failed write deletes it and throws `io`.
 *
 * @example
 * const writer = await createSafetensorsWriter('out.safetensors', { w: { dtype: 'F32', shape: [2, 2] } })
 * await writer.write('w', tensor('F32', [2, 2], Float32Array.of(1, 2, 3, 4)))
 * await writer.finish()
 */
export async function createSafetensorsWriter(
  path: string,
  planned: PlannedTensors,
  metadata?: Readonly<Record<string, string>>,
): Promise<SafetensorsWriter> {
  const { header, positions, bytes } = layOut(planned, metadata)
  const missing = new Set(positions.keys())
  const file: AtomicFile = await createAtomicFile(path)
  await file.write(header, 0)

  return {
    path,
    bytes,
    async write(name, tensor) {
      const position = findTensor(positions, name, `${path} as planned`)
      const { dtype, shape } = planned[name]
      if (tensor.dtype !== dtype || String(tensor.shape) !== String(shape)) {
        const got = `${tensor.dtype} [${tensor.shape.join('×')}]`
        throw new ReallmError(
          'bad-tensor',
          `${name} was planned as ${dtype} [${shape.join('×')}], got ${got}`,
        )
      }
      await file.write(tensorBytes(tensor), position)
      missing.delete(name)
    },
    async finish() {
      if (missing.size > 0) {
        await file.abort()
        const [first] = missing
        throw new ReallmError(
          'bad-tensor',
          `${path}: ${missing.size} planned tensors were not written (${first}, …)`,
        )
      }
      await file.commit()
    },
    abort: file.abort,
  }
}

/** Writes a whole safetensors file at once. */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const writer = await createSafetensorsWriter(path, tensors, metadata)
  for (const [name, tensor] of Object.entries(tensors)) await writer.write(name, tensor)
  await writer.finish()
}
