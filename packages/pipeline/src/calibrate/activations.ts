import { fileError } from '@reallm/tensor-io'
import { type FileHandle, join, open, rm } from '#platform'

/** Activations of every batch of sequences between two layers, set in order and not changed afterwards. */
export interface Activations {
  /** May give the same memory again, with other values, the next time. */
  get(batch: number): Promise<Float32Array>
  set(batch: number, values: Float32Array): Promise<void>
  close(): Promise<void>
}

/** Where activations are kept. */
export interface Scratch {
  /** Path of the next file or folder; undefined where all is kept in memory. */
  next(): string | undefined
}

export const memoryScratch: Scratch = { next: () => undefined }

/** Files in a directory, which must exist. Whoever made the directory removes it. */
export function fileScratch(folder: string): Scratch {
  let made = 0
  return { next: () => join(folder, `${made++}.f32`) }
}

/** Starts to keep activations. */
export async function activations(scratch: Scratch): Promise<Activations> {
  const path = scratch.next()
  return path === undefined ? inMemory() : inFile(path, await open(path, 'w+'))
}

function inMemory(): Activations {
  const kept: Float32Array[] = []
  return {
    get: async batch => kept[batch],
    set: async (batch, values) => void (kept[batch] = values),
    close: async () => void (kept.length = 0),
  }
}

function inFile(path: string, file: FileHandle): Activations {
  // The last batch may be smaller than the others: places are multiples of the first one's size.
  const sizes: number[] = []
  let buffer = new ArrayBuffer(0)
  return {
    async get(batch) {
      if (buffer.byteLength < sizes[batch]) buffer = new ArrayBuffer(sizes[0])
      await file.read(new Uint8Array(buffer), 0, sizes[batch], batch * sizes[0])
      return new Float32Array(buffer, 0, sizes[batch] / 4)
    },
    async set(batch, values) {
      sizes[batch] = values.byteLength
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
      try {
        // a disk that becomes full takes a part first
        for (let at = 0; at < bytes.length; ) {
          const left = bytes.length - at
          at += (await file.write(bytes, at, left, batch * sizes[0] + at)).bytesWritten
        }
      } catch (cause) {
        throw fileError(cause, path, 'write')
      }
    },
    async close() {
      buffer = new ArrayBuffer(0)
      await file.close()
      await rm(path, { force: true })
    },
  }
}
