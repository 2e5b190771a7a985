const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff
  for (const byte of bytes) c = table[(c ^ byte) & 255] ^ (c >>> 8)
  return (c ^ 0xffffffff) >>> 0
}

/** Files side by side in a zip archive, stored without compression: codes have no redundancy left. */
export function zip(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Blob {
  const parts: Uint8Array<ArrayBuffer>[] = []
  const directory: Uint8Array<ArrayBuffer>[] = []
  let offset = 0
  for (const [name, bytes] of files) {
    const path = new TextEncoder().encode(name)
    // version 2.0, names in UTF-8, stored, 1 January 1980
    const shared = [u16(20), u16(0x800), u16(0), u16(0), u16(0x21), u32(crc32(bytes))]
    const sizes = [u32(bytes.length), u32(bytes.length), u16(path.length), u16(0)]
    const header = join([u32(0x04034b50), ...shared, ...sizes, path])
    const rest = [u16(0), u16(0), u16(0), u32(0), u32(offset), path]
    directory.push(join([u32(0x02014b50), u16(20), ...shared, ...sizes, ...rest]))
    parts.push(header, bytes)
    offset += header.length + bytes.length
  }
  const entries = join(directory)
  const counts = [u16(0), u16(0), u16(files.size), u16(files.size)]
  const end = join([u32(0x06054b50), ...counts, u32(entries.length), u32(offset), u16(0)])
  return new Blob([...parts, entries, end], { type: 'application/zip' })
}

const u16 = (n: number) => Uint8Array.of(n, n >> 8)
const u32 = (n: number) => Uint8Array.of(n, n >> 8, n >> 16, n >> 24)

function join(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}
