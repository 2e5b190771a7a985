import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { hasNode, nodeModule } from '../source/node.ts'
import { type ByteSource, type ReadOptions, readAll } from '../source/source.ts'
import type { ShardSums } from './shard-sums.ts'

const chunkBytes = 1 << 22

/** SHA-256 of a source in hexadecimal digits; in a page all of it is held in memory meanwhile. */
export async function sha256(source: ByteSource, options: ReadOptions = {}): Promise<string> {
  if (hasNode()) {
    const hash = nodeModule('crypto').createHash('sha256')
    for (let at = 0; at < source.size; at += chunkBytes) {
      throwIfAborted(options.signal)
      hash.update(await source.read(at, Math.min(source.size, at + chunkBytes), options))
    }
    return hash.digest('hex')
  }
  const digest = await globalThis.crypto.subtle.digest('SHA-256', await readAll(source, options))
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
  throw new ReallmError('integrity', `${where}: ${file} was altered: its SHA-256 is not the listed one`, {
    hint: 'copy or download it again',
  })
}
