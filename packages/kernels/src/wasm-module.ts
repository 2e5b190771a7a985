/** Relaxed SIMD (fuses multiplication and addition), plain SIMD, or TypeScript without WebAssembly. */
export type KernelBuild = 'relaxed' | 'plain' | 'reference'

/**
 * Bytes of a built module; without sharing, the flag of its imported memory is cleared.
 *
 * @param difference what makes the module of `plain`, as `assembly/build.mjs` writes it; absent: `plain` itself
 */
export function moduleBytes(
  plain: string,
  shared: boolean,
  difference?: string | undefined,
): Uint8Array<ArrayBuffer> {
  const bytes = difference === undefined ? fromHex(plain) : changed(fromHex(plain), fromHex(difference))
  const memoryImport = '\x03env\x06memory\x02'
  const flags = String.fromCharCode(...bytes.subarray(0, 4096)).indexOf(memoryImport) + memoryImport.length
  if (!shared) bytes[flags] &= ~2
  return bytes
}

const fromHex = (digits: string) =>
  Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  )

/** New bytes, then a copy from `from`, and so on. */
function changed(from: Uint8Array, difference: Uint8Array): Uint8Array<ArrayBuffer> {
  const out: number[] = []
  let at = 0
  const number = () => difference[at++] | (difference[at++] << 8)
  while (at < difference.length) {
    const fresh = number()
    out.push(...difference.subarray(at, at + fresh))
    at += fresh
    const place = number()
    for (const byte of from.subarray(place, place + number())) out.push(byte)
  }
  return Uint8Array.from(out)
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
