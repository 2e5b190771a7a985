// Puts the whole script of the Worker into dist/worker/page-worker.js, after tsc: so it starts whatever bundles a page, and from a CDN.
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'

const dist = join(import.meta.dirname, 'dist', 'worker')
const { outputFiles, metafile } = await build({
  entryPoints: [join(dist, 'worker.js')],
  ...{
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
  },
  // what only Node asks for
  external: ['webgpu', 'node:*'],
  absWorkingDir: import.meta.dirname,
})

/** Other people's packages in it, with their licences. */
const theirs = new Set(
  Object.keys(metafile.inputs).flatMap(path => {
    const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]
    return name && !name.startsWith('@reallm/') ? [name] : []
  }),
)
const licences = [...theirs].map(name => {
  const entry = dirname(createRequire(import.meta.url).resolve(name))
  const { version, license, author } = manifestAbove(entry)
  return `${name} ${version} (${license}, by ${author?.name ?? author ?? 'its authors'})`
})

function manifestAbove(folder) {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    if (manifest.name) return manifest
  } catch {}
  return manifestAbove(dirname(folder))
}

writeFileSync(
  join(dist, 'page-worker.js'),
  `/*! Contains ${licences.join(', ')} */
const script = ${JSON.stringify(outputFiles[0].text)}

export function pageWorker() {
  const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
  const worker = new Worker(url, { type: 'module' })
  worker.addEventListener('message', () => URL.revokeObjectURL(url), { once: true })
  return worker
}
`,
)
rmSync(join(dist, 'page-worker.js.map'), { force: true })
