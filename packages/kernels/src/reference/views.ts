import type { Pointer } from '../inference/kernels.ts'

/** Views of one memory: by address and count. */
export const viewsOf = (memory: WebAssembly.Memory) => ({
  f32: (at: Pointer, n: number) => new Float32Array(memory.buffer, at, n),
  i16: (at: Pointer, n: number) => new Int16Array(memory.buffer, at, n),
  /** Integers of 1 or 2 bytes. */
  integers: (at: Pointer, n: number, bytes: number) =>
    bytes === 2 ? new Int16Array(memory.buffer, at, n) : new Int8Array(memory.buffer, at, n),
})
