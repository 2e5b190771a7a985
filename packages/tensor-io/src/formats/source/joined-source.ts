import { ReallmError } from '../../core/errors.ts'
import { type ByteSource, checkRange } from './source.ts'

/** A file that holds a part of another one. */
export interface FilePart {
  readonly file: string
  readonly bytes: number
}

/**
 * A file whose bytes lie in several files, one after the other; each is opened when it or the one before it is first read.
 *
 * @throws `bad-file` for a list of parts that is none; from `read`, `integrity` naming the part whose size differs from the listed one
 */
export function joinedSource(
  name: string,
  parts: readonly FilePart[],
  open: (file: string) => Promise<ByteSource>,
): ByteSource {
  if (!Array.isArray(parts) || parts.length === 0 || !parts.every(isPart)) {
    throw new ReallmError('bad-file', `${name}: the list of its parts is damaged`, {
      hint: 'copy or download it again',
    })
  }
  const starts: number[] = []
  let size = 0
  for (const { bytes } of parts) {
    starts.push(size)
    size += bytes
  }
  const opened = new Map<number, Promise<ByteSource>>()

  function partAt(i: number): Promise<ByteSource> {
    const source = opened.get(i) ?? openPart(i)
    opened.set(i, source)
    return source
  }

  async function openPart(i: number): Promise<ByteSource> {
    const { file, bytes } = parts[i]
    const source = await open(file)
    if (source.size === bytes) return source
    await source.close()
    throw new ReallmError(
      'integrity',
      `${name}: its part ${file} has ${source.size} bytes instead of ${bytes}`,
      { hint: 'copy or download it again' },
    )
  }

  const reading =
    (inPlace: boolean): ByteSource['read'] =>
    async (start, end, options) => {
      checkRange(name, size, start, end)
      let result: Uint8Array<ArrayBuffer> | undefined
      for (const [i, from] of starts.entries()) {
        const low = Math.max(start, from)
        const high = Math.min(end, from + parts[i].bytes)
        if (low >= high) continue
        const opening = partAt(i)
        // told to whoever reads it
        if (i + 1 < parts.length) partAt(i + 1).catch(() => {})
        const source = await opening
        const range = [low - from, high - from] as const
        const view = inPlace ? source.view?.(...range, options) : undefined
        const bytes = await (view ?? source.read(...range, options))
        if (bytes.length === end - start) return bytes
        result ??= new Uint8Array(end - start)
        result.set(bytes, low - start)
      }
      return result ?? new Uint8Array(0)
    }

  return {
    name,
    size,
    read: reading(false),
    view: reading(true),
    async close() {
      for (const source of await Promise.allSettled(opened.values())) {
        if (source.status === 'fulfilled') await source.value.close()
      }
    },
  }
}

const isPart = (part: unknown): boolean => {
  const { file, bytes } = Object(part) as { file?: unknown; bytes?: unknown }
  return (
    typeof file === 'string' && /^[^/\\]+$/.test(file) && Number.isSafeInteger(bytes) && (bytes as number) > 0
  )
}
