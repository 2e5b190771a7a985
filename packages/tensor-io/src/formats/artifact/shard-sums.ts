import { ReallmError } from '../../core/errors.ts'
import type { ByteSource } from '../source/source.ts'

/** Sizes and checksums of shards, as the metadata of an artifact's index lists them. */
export interface ShardSums {
  readonly bytes: Readonly<Record<string, number>>
  readonly sha256: Readonly<Record<string, string>>
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
