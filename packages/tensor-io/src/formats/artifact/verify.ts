import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { hasNode, nodeModule } from '../source/node.ts'
import { type ByteSource, type ReadOptions, readAll } from '../source/source.ts'
import type { ShardSums } from './shard-sums.ts'

const chunkBytes = 1 << 22

/** SHA-256 of a source in hexadecimal digits; in a page all of it is held in memory meanwhile. */
export async function sha256(source: ByteSource, options: ReadOptions = {}): Promise<string> {
  if (!hasNode()) return sha256Of(await readAll(source, options))
  const hash = nodeModule('crypto').createHash('sha256')
  for (let at = 0; at < source.size; at += chunkBytes) {
    throwIfAborted(options.signal)
    hash.update(await source.read(at, Math.min(source.size, at + chunkBytes), options))
  }
  return hash.digest('hex')
}

/** SHA-256 of each block of a source. */
export async function sha256OfBlocks(source: ByteSource, size: number): Promise<string[]> {
  const digests: string[] = []
  for (let at = 0; at < source.size; at += size)
    digests.push(await sha256Of(await source.read(at, Math.min(source.size, at + size))))
  return digests
}

/** SHA-256 of bytes in hexadecimal digits. */
export async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest('SHA-256', bytes)
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('')
}

/** Throws `integrity` naming the file when its checksum differs from the listed one. */
export async function checkSum(
  where: string,
  file: string,
  source: ByteSource,
  sums: ShardSums,
  options?: ReadOptions,
): Promise<void> {
  const listed = sums.sha256[file]
  if (listed === undefined || listed === (await sha256(source, options))) return
  throw altered(where, file)
}

export const altered = (where: string, file: string): ReallmError =>
  new ReallmError('integrity', `${where}: ${file} was altered: its SHA-256 is not the listed one`, {
    hint: 'copy or download it again',
  })
