import { ReallmError } from '../../core/errors.ts'
import type { FilePart } from '../source/joined-source.ts'
import type { ByteSource } from '../source/source.ts'

/** Sizes and checksums of shards, as the metadata of an artifact's index lists them. */
export interface ShardSums {
  readonly bytes: Readonly<Record<string, number>>
  readonly sha256: Readonly<Record<string, string>>
  /** Checksums of the pieces of each shard, for whoever reads some of it only. */
  readonly blocks?: { readonly size: number; readonly sha256: Readonly<Record<string, readonly string[]>> }
  /** Of shards that lie in several files: these in order, with their sizes in bytes. */
  readonly parts: Readonly<Record<string, readonly FilePart[]>>
}

/** Bytes of a block, in what this release writes. */
export const blockSize = 1 << 20

/** What the metadata of an index says about shards; empty where it says nothing. */
export function shardSums(metadata: Readonly<Record<string, unknown>>): ShardSums {
  const { bytes, sha256, blocks, parts } = metadata
  const sums = { bytes: byFile(bytes), sha256: byFile(sha256), parts: byFile(parts) }
  if (blocks === undefined) return sums
  const { size, sha256: digests } = Object(blocks) as { size?: unknown; sha256?: unknown }
  return { ...sums, blocks: { size: size as number, sha256: byFile(digests) } }
}

/** A record of files alone: a file may be called `__proto__`. */
const byFile = (value: unknown) => Object.assign(Object.create(null), typeof value === 'object' ? value : {})

/**
 * The checksums of a file's blocks; undefined where none are listed.
 *
 * @throws `bad-file` when they are not as many as the file has blocks
 */
export function blocksOf(
  where: string,
  file: string,
  bytes: number,
  { blocks }: ShardSums,
): { readonly size: number; readonly sha256: readonly string[] } | undefined {
  const sha256 = blocks?.sha256[file]
  if (blocks === undefined || sha256 === undefined) return undefined
  const { size } = blocks
  const wellFormed = Number.isSafeInteger(size) && size >= 1 << 12 && size <= 1 << 26 && Array.isArray(sha256)
  if (wellFormed && sha256.length === Math.ceil(bytes / size)) return { size, sha256 }
  throw new ReallmError('bad-file', `${where}: the index lists other blocks of ${file} than it has`, {
    hint: 'copy or download it again',
  })
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
