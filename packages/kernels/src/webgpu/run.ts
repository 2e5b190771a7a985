/** WGSL of what differs from one run of a program to the next; see {@link runWords}. */
export const RUN = `struct Run {
  tokens: u32,
  position: u32,
  first: u32,
  capacity: u32,
  parts: u32,
  partKeys: u32,
}`

/** What a pass is about: how many tokens, and where they stand. */
export interface Run {
  readonly tokens: number
  /** Of the first token. */
  readonly position: number
  /** The token that a kernel for one token is about. */
  readonly first: number
  /** Positions that caches have room for. */
  readonly capacity: number
  /** Parts that keys are split into, and keys of a part. */
  readonly parts: number
  readonly partKeys: number
}

/** The uniform buffer `run`. */
export const runWords = (run: Run): Uint32Array<ArrayBuffer> =>
  Uint32Array.of(run.tokens, run.position, run.first, run.capacity, run.parts, run.partKeys, 0, 0)

/** Bytes of the uniform buffer. */
export const RUN_BYTES = 32
/** Bytes of the uniform buffer of the kernel that chooses tokens. */
export const SAMPLING_BYTES = 32
