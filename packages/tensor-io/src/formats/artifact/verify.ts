import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { hasNode, nodeModule } from '../source/node.ts'
import { type ByteSource, type ReadOptions, readAll } from '../source/source.ts'

/** Sizes and checksums of shards, as the metadata of an artifact's index lists them. */
export interface ShardSums {
  readonly bytes: Readonly<Record<string, number>>
  readonly sha256: Readonly<Record<string, string>>
}

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

/** What the metadata of an index says about shards; empty where it says nothing. */
export function shardSums(metadata: Readonly<Record<string, unknown>>): ShardSums {
  const { bytes, sha256 } = metadata as { bytes?: unknown; sha256?: unknown }
  return { bytes: Object(bytes), sha256: Object(sha256) }
}

/** Throws `integrity` naming the file when its size differs from the listed one. */
export function checkSize(where: string, file: string, source: ByteSource, sums: ShardSums): void {
  const listed = sums.bytes[file]
  if (listed === undefined || listed === source.size) return
  const what = source.size < listed ? 'truncated' : 'altered'
  throw new ReallmError(
    'integrity',
    `${where}: ${file} is ${what}: it has ${source.size} bytes instead of ${listed}`,
    {
      hint: 'copy or download it again',
    },
  )
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
