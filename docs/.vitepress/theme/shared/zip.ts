import { Zip, ZipPassThrough } from 'fflate'

/** Files side by side in a zip archive, stored without compression: codes have no redundancy left. */
export function zip(files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Blob {
  const parts: Uint8Array<ArrayBuffer>[] = []
  const archive = new Zip((error, part) => {
    if (error) throw error
    parts.push(part)
  })
  for (const [name, bytes] of files) {
    // the same files make the same archive
    const entry = Object.assign(new ZipPassThrough(name), { mtime: new Date(1980, 0, 1) })
    archive.add(entry)
    entry.push(bytes, true)
  }
  archive.end()
  return new Blob(parts, { type: 'application/zip' })
}
