import { ReallmError } from '../errors.ts'
import { nodeModule } from '../source/node.ts'

/**
 * The directory of the model in an installed npm package: the package itself or its `model` folder, whichever has
 * a config.json. It is looked for in the `node_modules` above the working directory, this package and the script
 * that runs.
 */
export async function findPackage(name: string): Promise<string> {
  if (!/^(@[\w.-]+\/)?[\w-][\w.-]*$/.test(name)) {
    throw new ReallmError('bad-option', `npm:${name}: that is no package name`, {
      hint: 'write npm:@scope/name',
    })
  }
  const { dirname, join } = nodeModule('path')
  const starts = [process.cwd(), dirname(nodeModule('url').fileURLToPath(import.meta.url))]
  if (process.argv[1]) starts.push(dirname(await resolved(process.argv[1])))
  for (const start of starts) {
    for (let dir = start; ; dir = dirname(dir)) {
      const candidate = join(dir, 'node_modules', name)
      if (await exists(join(candidate, 'package.json'))) return modelFolder(name, candidate)
      if (dir === dirname(dir)) break
    }
  }
  throw new ReallmError('not-found', `npm:${name}: the package is not installed`, {
    hint: `npm install ${name}`,
  })
}

async function modelFolder(name: string, directory: string): Promise<string> {
  for (const folder of [directory, nodeModule('path').join(directory, 'model')]) {
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
