import { type FileHandle, open, rm } from '#platform'

/** Activations of every batch of windows between two blocks, set in order and not changed afterwards; in memory, or in a file. */
export interface Activations {
  get(batch: number): Promise<Float32Array>
  set(batch: number, values: Float32Array): Promise<void>
  close(): Promise<void>
}

/** Keeps activations in memory, or in a scratch file when `spillTo` names one. */
export async function activations(spillTo?: string): Promise<Activations> {
  return spillTo === undefined ? inMemory() : inFile(spillTo, await open(spillTo, 'w+'))
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
  return {
    async get(batch) {
      const values = new Float32Array(sizes[batch] / 4)
      await file.read(new Uint8Array(values.buffer), 0, sizes[batch], batch * sizes[0])
      return values
    },
    async set(batch, values) {
      sizes[batch] = values.byteLength
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
      await file.write(bytes, 0, bytes.length, batch * sizes[0])
    },
    async close() {
      await file.close()
      await rm(path, { force: true })
    },
  }
}
