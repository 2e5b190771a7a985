/** Where matrices go from one machine to another: files under plain names, each there entirely or not at all. */
export interface SharedFiles {
  write(name: string, contents: Uint8Array): Promise<void>
  /** The contents; undefined when there is no such file. Throws `io` when it cannot be read. */
  read(name: string): Promise<Uint8Array | undefined>
  has(name: string): Promise<boolean>
  /** Harmless when there is none. */
  remove(name: string): Promise<void>
  close(): void
}
