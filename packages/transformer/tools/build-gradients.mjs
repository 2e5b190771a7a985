// Bundles what only @tensorflow/tfjs-core's single modules have, not its bundle for Node: the gradients of its kernels and
// its chained operations (`x.add(y)`). Writes src/tfjs/gradients.ts; with `--check` it compares instead.
// Everything that the bundle exports is taken from there, so that there is one copy of each.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const name = '@tensorflow/tfjs-core'
const require = createRequire(import.meta.url)
const core = require(name)
const folder = dirname(require.resolve(name))
const target = fileURLToPath(new URL('../src/tfjs/gradients.ts', import.meta.url))

/** Where the bundle has something, as an expression; undefined where it has not. */
function inCore(exported) {
  if (exported === 'ENGINE') return 'core.engine()'
  if (exported === 'getGlobalTensorClass') return '() => core.Tensor'
  if (exported in core) return `core.${exported}`
  const space = ['util', 'backend_util', 'slice_util', 'image'].find(space => exported in core[space])
  return space && `core.${space}.${exported}`
}

const own =
  /gradients\/|chained_ops\/|register_all|_backprop|_grad\.js|selu_util|tensor_util_env|dist.types\.js/
const fromCore = {
  name: 'from-core',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: new RegExp(`^${name}$`) }, () => ({ path: name, external: true }))
    onLoad({ filter: /tfjs-core.dist.*\.js$/ }, ({ path }) => {
      if (own.test(path)) return undefined
      if (/ops.ops\.js$/.test(path)) return { contents: `export * from '${name}'`, loader: 'js' }
      const source = readFileSync(path, 'utf8')
      const exported = /dist.util\.js$/.test(path)
        ? Object.keys(core.util)
        : [...source.matchAll(/^export (?:async )?(?:const|function|class) (\w+)/gm)].map(([, each]) => each)
      const lines = exported
        .filter(each => inCore(each))
        .map(each => `export const ${each} = ${inCore(each)}`)
      return { contents: `import * as core from '${name}'\n${lines.join('\n')}`, loader: 'js' }
    })
  },
}

const entries = ['register_all_gradients.js', 'public/chained_ops/register_all_chained_ops.js']
const { outputFiles } = await build({
  stdin: {
    contents: entries.map(file => `import ${JSON.stringify(join(folder, file))}`).join('\n'),
    resolveDir: folder,
  },
  bundle: true,
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  lineLimit: 160,
  legalComments: 'none',
  plugins: [fromCore],
  write: false,
})
if (outputFiles[0].text.includes('(void 0)(')) throw new Error('the bundle does not have all that is used')
const bundle = `// @ts-nocheck
// Built by tools/build-gradients.mjs from ${name} ${core.version_core}, Copyright Google LLC, Apache-2.0. Do not edit.
${outputFiles[0].text.trim()}
export {}
`
if (!process.argv.includes('--check')) writeFileSync(target, bundle)
else if (readFileSync(target, 'utf8') !== bundle) {
  console.error('src/tfjs/gradients.ts is not what is installed: run npm run build:gradients')
  process.exitCode = 1
}
