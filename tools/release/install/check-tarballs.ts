import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { installedAt, published } from './packages.ts'

/** What publint warns of in a project's packages. */
export async function lintedBy(project: string): Promise<string[]> {
  const found: string[] = []
  for (const name of published) {
    const options = { pkgDir: installedAt(project, name), pack: false, level: 'warning' } as const
    for (const message of (await publint(options)).messages) found.push(`${name}: ${JSON.stringify(message)}`)
  }
  return found
}

/**
 * What Are the types wrong? finds in tarballs. The packages are ES modules alone: `require` and the resolution of Node 10 are not
 * promised.
 */
export async function wrongTypes(tarballs: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const file of tarballs) {
    const analysis = await checkPackage(createPackageFromTarballData(readFileSync(file)))
    for (const problem of analysis.types ? analysis.problems : []) {
      const promised = !(
        'resolutionKind' in problem && ['node10', 'node16-cjs'].includes(problem.resolutionKind)
      )
      if (promised) found.push(`${basename(file)}: ${JSON.stringify(problem)}`)
    }
  }
  return found
}
