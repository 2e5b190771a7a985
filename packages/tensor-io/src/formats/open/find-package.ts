import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import { nodeModule } from '../source/node.ts'
import { parsePackageSpec } from './parse-package-spec.ts'

/**
 * The directory of the model in an installed npm package: its `model` folder or the package itself, whichever has
 * a config.json. It is looked for in the `node_modules` above the working directory, this package and the script
 * that runs.
 *
 * @param spec `npm:name[@version]`
 * @throws `bad-option` when that is no package name; `not-found` when the package, or that version of it, is not installed.
 */
export async function findPackage(spec: string): Promise<string> {
  const { name, version } = parsePackageSpec(spec)
  const { dirname, join } = nodeModule('path')
  const starts = [process.cwd(), dirname(nodeModule('url').fileURLToPath(import.meta.url))]
  if (process.argv[1]) starts.push(dirname(await resolved(process.argv[1])))
  let other: string | undefined
  for (const start of starts) {
    for (let dir = start; ; dir = dirname(dir)) {
      const candidate = join(dir, 'node_modules', name)
      const installed = await versionAt(join(candidate, 'package.json'))
      if (installed !== undefined) {
        if (version === undefined || installed === version) return modelFolder(name, candidate)
        other ??= installed
      }
      if (dir === dirname(dir)) break
    }
  }
  const wanted = version === undefined ? name : `${name}@${version}`
  const found = other === undefined ? '' : `, version ${other} is`
  throw new ReallmError('not-found', `npm:${wanted}: the package is not installed${found}`, {
    hint: `npm install ${wanted}`,
  })
}

/** The version that a package.json says; undefined when there is no such file. */
async function versionAt(path: string): Promise<string | undefined> {
  const bytes = await nodeModule('fs/promises')
    .readFile(path)
    .catch(() => undefined)
  return bytes && String(parseJson(path, bytes).version)
}

async function modelFolder(name: string, directory: string): Promise<string> {
  for (const folder of [nodeModule('path').join(directory, 'model'), directory]) {
    if (await exists(nodeModule('path').join(folder, 'config.json'))) return folder
  }
  throw new ReallmError(
    'not-found',
    `npm:${name}: ${directory} has no config.json, nor has its model folder`,
    {
      hint: 'is it the package of a model?',
    },
  )
}

const resolved = (path: string) =>
  nodeModule('fs/promises')
    .realpath(path)
    .catch(() => path)

const exists = (path: string) =>
  nodeModule('fs/promises')
    .access(path)
    .then(
      () => true,
      () => false,
    )
