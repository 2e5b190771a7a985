import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../results/schema.ts'
import { run } from './run.ts'

/** What of a manifest an installation is checked by. */
export interface Manifest {
  readonly private?: boolean
  readonly exports?: Record<string, string | Record<string, string>>
  readonly dependencies: Record<string, string>
  readonly devDependencies?: Record<string, string>
}

export const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))

/** Folders of the packages that are published. */
export const published = readdirSync(join(root, 'packages')).filter(
  name => !manifestOf(join(root, 'packages', name)).private,
)

/** The name under which a package of a folder is installed. */
export const fullName = (folder: string): string => (folder === 'reallm' ? folder : `@reallm/${folder}`)

/** Where a package lies in a project. */
export const installedAt = (project: string, folder: string): string =>
  join(project, 'node_modules', fullName(folder))

/** Packs all published packages into `to`, as a release does; returns the paths of the tarballs. */
export function packAll(to: string): string[] {
  const filters = published.flatMap(name => ['--filter', `./packages/${name}`])
  run(root, 'npx', 'pnpm', ...filters, 'pack', '--pack-destination', to)
  return readdirSync(to).map(file => join(to, file))
}

/** Every package of a project, and the folders of it that have an entry of their own, as they are imported. */
export const entriesOf = (project: string): string[] =>
  published.flatMap(name => {
    const keys = Object.keys(manifestOf(installedAt(project, name)).exports ?? {})
    return keys.filter(key => !/[*]|\.\w+$/.test(key)).map(key => fullName(name) + key.slice(1))
  })
