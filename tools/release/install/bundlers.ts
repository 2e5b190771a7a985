import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import webpack from 'webpack'

/** Bundles a file of a project for browsers; returns the code of its entry. */
type Bundler = (project: string, file: string) => Promise<string>

/** What of Vite is used; it lies in the project, as in projects that are built with it. */
interface Vite {
  build(options: object): Promise<{ readonly output: readonly { readonly code: string }[] }>
}

/** Bundlers that projects use, by their names. */
export const bundlers: Readonly<Record<string, Bundler>> = {
  async rollup(_, input) {
    const bundle = await rollup({ input, plugins: [nodeResolve({ browser: true })], onwarn: () => {} })
    const { output } = await bundle.generate({ format: 'es' })
    await bundle.close()
    return output[0].code
  },
  async esbuild(project, file) {
    const options = { bundle: true, format: 'esm', minify: true, write: false, platform: 'browser' } as const
    const { outputFiles } = await build({ ...options, entryPoints: [file], absWorkingDir: project })
    return outputFiles[0].text
  },
  webpack: (project, entry) =>
    new Promise((resolve, reject) => {
      const output = { path: join(project, 'packed'), filename: 'main.js' }
      webpack({ mode: 'production', context: project, entry, output }, (error, stats) => {
        if (error || stats?.hasErrors()) reject(error ?? new Error(stats!.toString('errors-only')))
        else resolve(readFileSync(join(output.path, output.filename), 'utf8'))
      })
    }),
  async vite(project, input) {
    const found = createRequire(join(project, 'package.json')).resolve('vite')
    const { build }: Vite = await import(pathToFileURL(found).href)
    const { output } = await build({
      ...{ root: project, configFile: false, logLevel: 'error' },
      build: { write: false, rollupOptions: { input, preserveEntrySignatures: 'strict' } },
    })
    return output[0].code
  },
}

/** Compressed bytes of a page's code that imports one codec, and of one that imports its whole package. */
export async function shaken(
  project: string,
  name: string,
): Promise<{ readonly one: number; readonly whole: number }> {
  const size = async (what: string) => {
    const file = join(project, 'entry.mjs')
    writeFileSync(
      file,
      `import ${what} from '@reallm/vq'\nglobalThis.used = ${what.replace(/[{}]|\* as/g, '')}\n`,
    )
    return gzipSync(await bundlers[name](project, file)).length
  }
  return { one: await size('{ grid }'), whole: await size('* as all') }
}
