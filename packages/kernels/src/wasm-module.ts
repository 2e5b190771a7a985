/** Relaxed SIMD (fuses multiplication and addition), plain SIMD, or TypeScript without WebAssembly. */
export type KernelBuild = 'relaxed' | 'plain' | 'reference'

/** Bytes of a built module; without sharing, the flag of its imported memory is cleared. */
export function moduleBytes(base64: string, shared: boolean): Uint8Array<ArrayBuffer> {
  const text = atob(base64)
  const bytes = Uint8Array.from(text, c => c.charCodeAt(0))
  const memoryImport = '\x03env\x06memory\x02'
  const flags = text.indexOf(memoryImport) + memoryImport.length
  if (!shared) bytes[flags] &= ~2
  return bytes
}

/** The largest memory up to `pages` that this engine reserves; engines with little address space refuse much. */
export function reserveMemory(pages: number, shared: boolean): WebAssembly.Memory {
  for (let maximum = pages; maximum > 4096; maximum >>= 1) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared })
    } catch {}
  }
  return new WebAssembly.Memory({ initial: 1, maximum: 4096, shared })
}
