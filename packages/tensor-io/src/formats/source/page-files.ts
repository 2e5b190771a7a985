import { pageRoot, provideModules } from './node.ts'

/** Files in a page's memory, for work that writes directories: paths without `memory:/` are below it. */
export interface PageFiles {
  /** Names and contents of the files in a folder; hidden ones and those of its folders are left out. */
  list(folder: string): Map<string, Uint8Array<ArrayBuffer>>
  write(path: string, contents: Uint8Array | string): void
  remove(folder: string): void
}

/** A file or, without bytes, a folder. */
interface Entry {
  bytes: Uint8Array<ArrayBuffer> | undefined
}

const entries = new Map<string, Entry>([['', { bytes: undefined }]])

/** `memory:/a/../b/` → `b` */
function normal(path: string | URL): string {
  const parts: string[] = []
  for (const part of String(path).replace(pageRoot, '').split('/')) {
    if (part === '..') parts.pop()
    else if (part !== '' && part !== '.') parts.push(part)
  }
  return parts.join('/')
}

const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')))
const below = (folder: string) => [...entries.keys()].filter(path => path.startsWith(`${folder}/`))

function refuse(code: string, path: string): never {
  throw Object.assign(new Error(`${code}: ${pageRoot}${path}`), { code })
}

function entryOf(path: string): Entry {
  return entries.get(path) ?? refuse('ENOENT', path)
}

function makeFolder(path: string): void {
  if (path !== '') makeFolder(parentOf(path))
  if (entries.get(path)?.bytes) refuse('ENOTDIR', path)
  entries.set(path, { bytes: undefined })
}

function fileOf(path: string): Uint8Array<ArrayBuffer> {
  return entryOf(path).bytes ?? refuse('EISDIR', path)
}

/** What this project uses of `node:fs/promises`. */
const fs = {
  async mkdir(path: string, _options: { recursive: true }) {
    makeFolder(normal(path))
  },
  async mkdtemp(prefix: string) {
    const path = `${normal(prefix)}${entries.size}`
    makeFolder(path)
    return pageRoot + path
  },
  async readdir(path: string, options?: { withFileTypes: true }) {
    const folder = normal(path)
    if (entryOf(folder).bytes) refuse('ENOTDIR', folder)
    const inside = [...entries.keys()].filter(name => name !== '' && parentOf(name) === folder)
    const names = inside.map(name => name.slice(name.lastIndexOf('/') + 1))
    if (!options) return names
    return names.map((name, i) => ({ name, isDirectory: () => !entries.get(inside[i])!.bytes }))
  },
  async readFile(path: string, encoding?: 'utf8') {
    const bytes = fileOf(normal(path))
    return encoding ? new TextDecoder().decode(bytes) : bytes.slice()
  },
  async rename(from: string, to: string) {
    const [old, next] = [normal(from), normal(to)]
    const moved = entryOf(old)
    if (!entries.has(parentOf(next))) refuse('ENOENT', parentOf(next))
    for (const path of below(old)) {
      entries.set(next + path.slice(old.length), entries.get(path)!)
      entries.delete(path)
    }
    entries.set(next, moved)
    entries.delete(old)
  },
  async rm(path: string, options: { force?: boolean | undefined; recursive?: boolean | undefined } = {}) {
    const gone = normal(path)
    if (!options.force) entryOf(gone)
    for (const name of below(gone)) entries.delete(name)
    entries.delete(gone)
  },
  async stat(path: string) {
    const { bytes } = entryOf(normal(path))
    return { size: bytes?.length ?? 0, isFile: () => bytes !== undefined, isDirectory: () => !bytes }
  },
  async open(path: string, flags: 'r' | 'w' | 'w+') {
    const name = normal(path)
    if (flags === 'r') fileOf(name)
    else if (!entries.has(parentOf(name))) refuse('ENOENT', parentOf(name))
    else entries.set(name, { bytes: new Uint8Array() })
    const entry = entryOf(name)
    let size = entry.bytes!.length
    return {
      stat: () => fs.stat(name),
      async read(into: Uint8Array, at: number, length: number, position: number) {
        const piece = entry.bytes!.subarray(position, Math.min(size, position + length))
        into.set(piece, at)
        return { bytesRead: piece.length }
      },
      async write(from: Uint8Array, at: number, length: number, position: number) {
        size = Math.max(size, position + length)
        if (size > entry.bytes!.length) {
          const grown = new Uint8Array(Math.max(size, 2 * entry.bytes!.length))
          grown.set(entry.bytes!)
          entry.bytes = grown
        }
        entry.bytes!.set(from.subarray(at, at + length), position)
        return { bytesWritten: length }
      },
      async sync() {},
      async close() {
        entry.bytes = entry.bytes!.subarray(0, size)
      },
    }
  },
}

/** What it uses of `node:path`. */
const path = {
  join: (...parts: string[]) => parts.join('/'),
  resolve: (name: string) => pageRoot + normal(name),
  dirname: (name: string) => pageRoot + parentOf(normal(name)),
  basename: (name: string) => normal(name).split('/').at(-1)!,
}

/**
 * Gives functions that take paths a file system in this page's (or Worker's) memory. It ends with the page.
 *
 * @example
 * const files = usePageFiles()
 * await compress(model, { to: 'out', bits: 3 })
 * for (const [name, bytes] of files.list('out')) console.log(name, bytes.length)
 * const runs = await load('memory:/out')
 */
export function usePageFiles(): PageFiles & { readonly fs: typeof fs; readonly path: typeof path } {
  provideModules({ 'fs/promises': fs, path })
  return {
    fs,
    path,
    list(folder) {
      const start = `${normal(folder)}/`
      const files = below(normal(folder)).flatMap(name => {
        const { bytes } = entries.get(name)!
        return bytes ? [[name.slice(start.length), bytes.slice()] as const] : []
      })
      return new Map(files.filter(([name]) => !name.includes('/') && !name.startsWith('.')))
    },
    write(name, contents) {
      const at = normal(name)
      makeFolder(parentOf(at))
      const bytes = typeof contents === 'string' ? new TextEncoder().encode(contents) : contents.slice()
      entries.set(at, { bytes })
    },
    remove(folder) {
      for (const name of [normal(folder), ...below(normal(folder))]) entries.delete(name)
    },
  }
}
