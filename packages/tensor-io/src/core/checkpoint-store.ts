/** Where a run keeps its state: a file, or whatever a page has (a `Map`, IndexedDB). */
export interface CheckpointStore {
  load(): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Replaces what was there at once or not at all. */
  save(bytes: Uint8Array<ArrayBuffer>): Promise<void>
}

/** A checkpoint in memory, for pages and tests. */
export function memoryStore(): CheckpointStore {
  let saved: Uint8Array<ArrayBuffer> | undefined
  return {
    load: async () => saved,
    save: async bytes => {
      saved = bytes
    },
  }
}
