import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './schema.ts'

const counts = (path: string) => !/\.test\.ts$/.test(path)

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26, stdio: 'pipe' }).trim()
}

/** SHA-256 of the files' git hashes in order of their paths. */
function digest(blobs: readonly (readonly [path: string, hash: string])[]): string {
  const sorted = blobs.filter(([path]) => counts(path)).sort(([a], [b]) => (a < b ? -1 : 1))
  const lines = sorted.map(([path, hash]) => `${hash} ${path}\n`)
  return createHash('sha256').update(lines.join('')).digest('hex')
}

/** Digest of files and folders as they lie here, tests left out. */
export function digestHere(sources: readonly string[]): string {
  const blobs: [string, string][] = []
  const add = (path: string): void => {
    const file = join(root, path)
    if (!existsSync(file)) return
    if (statSync(file).isDirectory()) {
      for (const name of readdirSync(file)) if (name !== 'node_modules') add(`${path}/${name}`)
      return
    }
    const bytes = readFileSync(file)
    const hash = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
    blobs.push([path, hash])
  }
  for (const source of sources) add(source)
  return digest(blobs)
}

/** The same of a commit. */
export function digestAt(commit: string, sources: readonly string[]): string {
  const lines = sources.length > 0 ? git('ls-tree', '-r', commit, '--', ...sources).split('\n') : []
  return digest(
    lines.filter(Boolean).map(line => {
      const [about, path] = line.split('\t')
      return [path, about.split(' ')[2]]
    }),
  )
}

/** Whether the history here goes back to a commit. */
export function hasCommit(commit: string): boolean {
  try {
    git('cat-file', '-e', `${commit}^{commit}`)
    return true
  } catch {
    return false
  }
}

export const headCommit = (): string => git('rev-parse', '--short=7', 'HEAD')
