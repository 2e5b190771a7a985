import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import satisfies from 'spdx-satisfies'
import { root } from '../results/schema.ts'

/** A package that is installed with one of ours. */
export interface Dependency {
  readonly name: string
  readonly version: string
  /** SPDX expression, or whatever its manifest says. */
  readonly license: string
  /** What npm runs when it is installed. */
  readonly installs: readonly string[]
}

/** Licences that ask for no more than their notice. */
const allowed = [
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Unlicense',
]

interface Listed {
  readonly name: string
  readonly license: string
  readonly versions: readonly string[]
  readonly paths: readonly string[]
}

/** All packages that users of the published packages install, by name. */
export function productionDependencies(): Dependency[] {
  const filters = ['--filter', './packages/*', '--filter', '!@reallm/testing']
  const text = execFileSync('npx', ['pnpm', 'licenses', 'list', '--prod', '--json', ...filters], {
    ...{ cwd: root, encoding: 'utf8', shell: process.platform === 'win32', maxBuffer: 2 ** 26 },
  })
  const byLicence = JSON.parse(text) as Record<string, Listed[]>
  const all = Object.values(byLicence).flatMap(listed =>
    listed.flatMap(({ name, license, versions, paths }) =>
      versions.map((version, i) => ({ name, version, license, installs: installsOf(paths[i]) })),
    ),
  )
  return all.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Whether a licence is one of those that are allowed, or offers one of them. */
export function isAllowed(license: string): boolean {
  try {
    return satisfies(license, allowed)
  } catch {
    return false
  }
}

function installsOf(folder: string): string[] {
  const { scripts } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { scripts?: object }
  return Object.keys(scripts ?? {}).filter(name => /^(pre|post)?install$/.test(name))
}
