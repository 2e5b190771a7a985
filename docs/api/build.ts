// Writes docs/api/<package>.md from the sources' types and comments: `npm run api` in docs.
import { join } from 'node:path'
import { Application } from 'typedoc'
import { packageNames, weightsOnly } from '../packages/packages.ts'

const root = join(import.meta.dirname, '..', '..')
// the umbrella last: what it re-exports belongs to the others
const names = packageNames.filter(name => !weightsOnly.includes(name)).reverse()

const app = await Application.bootstrapWithPlugins({
  entryPoints: names.map(name => join(root, 'packages', name, 'src', 'index.ts')),
  basePath: join(root, 'packages'),
  tsconfig: join(root, 'tsconfig.json'),
  plugin: ['typedoc-plugin-markdown'],
  readme: 'none',
  disableSources: true,
  excludePrivate: true,
  excludeExternals: true,
  skipErrorChecking: true,
  logLevel: 'Error',
  validation: false,
  out: import.meta.dirname,
  cleanOutputDir: false,
  ...{
    outputFileStrategy: 'modules',
    entryFileName: 'index',
    hidePageHeader: true,
    hideBreadcrumbs: true,
    expandObjects: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    typeAliasPropertiesFormat: 'table',
  },
})
const project = await app.convert()
if (!project) process.exit(1)
for (const module of project.children ?? []) module.name = module.name.replace('/src', '')
await app.generateOutputs(project)
