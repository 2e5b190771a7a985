import { type FileHandle, open, rm } from 'node:fs/promises'

/** Activations of every window between two blocks, `[length, hidden]` each; in memory, or in a file. */
export interface Activations {
  get(window: number): Promise<Float32Array>
  set(window: number, values: Float32Array): Promise<void>
  close(): Promise<void>
}

/** Keeps the activations of `windows` windows in memory, or in a scratch file when `spillTo` names one. */
export async function activations(spillTo?: string): Promise<Activations> {
  return spillTo === undefined ? inMemory() : inFile(spillTo, await open(spillTo, 'w+'))
}

function inMemory(): Activations {
  const kept: Float32Array[] = []
  return {
    get: async window => kept[window],
    set: async (window, values) => void (kept[window] = values.slice()),
    close: async () => void (kept.length = 0),
  }
}

function inFile(path: string, file: FileHandle): Activations {
  let bytes = 0
  return {
    async get(window) {
      const values = new Float32Array(bytes / 4)
      await file.read(new Uint8Array(values.buffer), 0, bytes, window * bytes)
      return values
    },
    async set(window, values) {
      bytes = values.byteLength
      await file.write(new Uint8Array(values.buffer, values.byteOffset, bytes), 0, bytes, window * bytes)
    },
    async close() {
      await file.close()
      await rm(path, { force: true })
    },
  }
}
