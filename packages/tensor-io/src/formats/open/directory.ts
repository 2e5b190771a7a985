import { ReallmError } from '../../core/errors.ts'
import { onnxFolder, templateFolder } from '../model-files.ts'
import type { ByteSource } from '../source/source.ts'
import type { TensorStore } from '../store.ts'

/** Files side by side: a directory on disk, behind a URL, or what was dropped on a page. */
export interface Directory {
  /** What errors call it. */
  readonly name: string
  /** Names of its files, sorted. */
  readonly names: readonly string[]
  /** On disk, where reading everything is cheap. */
  readonly local: boolean
  /** Throws `not-found` for a file that is not there. */
  open(name: string): Promise<ByteSource>
}

/** The weights in a directory, whatever kind of model they are of. */
export interface DirectoryWeights extends TensorStore {
  readonly bytes: number
  readonly metadata: Readonly<Record<string, unknown>>
  readonly sources: ReadonlyMap<string, ByteSource>
}

/** A named source, for example of a dropped file: `{ name: file.name, source: blobSource(file.name, file) }`. */
export interface NamedSource {
  readonly name: string
  readonly source: ByteSource
}

/** Sources that lie in memory or were dropped on a page; folders in their names are left out, except those that are looked into. */
export function sourcesDirectory(name: string, files: readonly NamedSource[]): Directory {
  const sources = new Map(files.map(file => [withoutFolder(file.name), file.source]))
  return {
    name,
    names: [...sources.keys()].sort(),
    local: false,
    async open(file) {
      const source = sources.get(file)
      if (!source) throw new ReallmError('not-found', `${name}: ${file} is not among the files`)
      return source
    },
  }
}

function withoutFolder(path: string): string {
  const parts = path.split(/[/\\]/)
  const isKept = parts.at(-2) === templateFolder || parts.at(-2) === onnxFolder
  return parts.slice(isKept ? -2 : -1).join('/')
}
