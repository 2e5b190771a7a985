import { recentlyUsed } from '../../core/recently-used.ts'
import { type ByteSource, checkRange } from '../source/source.ts'
import { altered, sha256Of } from './verify.ts'

/** Blocks that are read at a time. */
const blocksAtATime = 16
/** Bytes of blocks that are kept: a layer's matrices lie together, and what is small of all of them at the end of a file. */
const mostKept = 1 << 24
/** Blocks that are kept of those that were read together: the last ones. */
const mostOfRun = 4

/**
 * A source that gives only bytes whose block has the listed SHA-256: whole blocks are read, and those that were used last are
 * kept for whoever reads on.
 *
 * @param blocks their size in bytes, and a SHA-256 in hexadecimal digits for each
 * @throws `integrity` naming the file, from `read`
 */
export function checkedSource(
  where: string,
  file: string,
  source: ByteSource,
  blocks: { readonly size: number; readonly sha256: readonly string[] },
): ByteSource {
  const { size } = blocks
  const kept = recentlyUsed<number, Uint8Array<ArrayBuffer>>(Math.max(1, Math.floor(mostKept / size)))

  /** The bytes of blocks `first` to `end`, checked. */
  async function read(first: number, end: number, options: Parameters<ByteSource['read']>[2]) {
    const range = [first * size, Math.min(source.size, end * size)] as const
    const bytes = await (source.view?.(...range, options) ?? source.read(...range, options))
    for (let block = first; block < end; block++) {
      const own = bytes.subarray((block - first) * size, (block - first + 1) * size)
      if ((await sha256Of(own)) !== blocks.sha256[block]) throw altered(where, file)
      // of a long run, the rest is given back
      if (end - block <= mostOfRun) kept.set(block, end - first <= mostOfRun ? own : own.slice())
    }
    return bytes
  }

  return {
    name: source.name,
    size: source.size,
    async read(start, end, options) {
      checkRange(source.name, source.size, start, end)
      const result = new Uint8Array(end - start)
      const last = Math.ceil(end / size)
      for (let block = Math.floor(start / size); block * size < end; ) {
        const known = kept.get(block)
        let next = block + 1
        if (!known) while (next < Math.min(last, block + blocksAtATime) && !kept.has(next)) next++
        const bytes = known ?? (await read(block, next, options))
        const from = Math.max(start, block * size)
        const to = Math.min(end, block * size + bytes.length)
        result.set(bytes.subarray(from - block * size, to - block * size), from - start)
        block = next
      }
      return result
    },
    close: () => source.close(),
  }
}
