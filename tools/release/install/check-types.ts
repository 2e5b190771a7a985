import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../results/schema.ts'
import { entriesOf } from './packages.ts'
import { runWith } from './run.ts'

/** How projects find types: the module system, and the resolution. */
export const resolutions = [
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
] as const

/** Compiles a program that imports every entry point of a project's packages; throws what TypeScript complains of. */
export function checkTypes(
  project: string,
  [module, resolution]: readonly [module: string, resolution: string],
  bin?: string,
): void {
  const lines = entriesOf(project).map(
    (entry, i) => `import * as e${i} from '${entry}'\nexport const k${i}: object = e${i}`,
  )
  writeFileSync(join(project, 'every.ts'), `${lines.join('\n')}\n`)
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const lib = 'es2023,dom,dom.iterable,esnext.disposable'
  const options = ['--noEmit', '--strict', '--target', 'es2022', '--lib', lib]
  const wanted = ['--module', module, '--moduleResolution', resolution]
  runWith(bin, project, 'node', tsc, ...options, ...wanted, 'every.ts')
}
