import { readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import { build } from 'esbuild'
import { rollup } from 'rollup'
import webpack from 'webpack'
import { root } from '../../results/schema.ts'
import { run } from './run.ts'

/** Bundles a file of a project for browsers, without any configuration, as `main.js` and what that fetches in a folder. */
type Bundler = (project: string, file: string, folder: string) => Promise<unknown>

/** Runs a Vite in a process of its own: an older one does not start where tests import it. */
const builtBy =
  (vite: (project: string) => string): Bundler =>
  async (root, input, outDir) => {
    const rollupOptions = { input, output: { entryFileNames: 'main.js' }, preserveEntrySignatures: 'strict' }
    const build = { outDir, emptyOutDir: true, rollupOptions }
    const options = { root, base: './', configFile: false, logLevel: 'error', build }
    const script = `import { build } from ${JSON.stringify(pathToFileURL(vite(root)).href)}
      await build(${JSON.stringify(options)})`
    run(root, 'node', '--input-type=module', '-e', script)
  }

const builtByWebpack =
  (minimize: boolean): Bundler =>
  (context, entry, path) =>
    new Promise<void>((resolve, reject) => {
      const output = { path, filename: 'main.js' }
      webpack({ mode: 'production', context, entry, output, optimization: { minimize } }, (error, stats) => {
        if (error || stats?.hasErrors()) reject(error ?? new Error(stats!.toString('errors-only')))
        else resolve()
      })
    })

/** webpack without its minifier, which takes five sixths of the time. */
export const unminified = builtByWebpack(false)

/** Bundlers that projects use, by their names. */
export const bundlers: Readonly<Record<string, Bundler>> = {
  async rollup(_, input, dir) {
    const bundle = await rollup({ input, plugins: [nodeResolve({ browser: true })], onwarn: () => {} })
    await bundle.write({ format: 'es', dir, entryFileNames: 'main.js' })
    await bundle.close()
  },
  esbuild(project, file, outdir) {
    const options = { bundle: true, format: 'esm', minify: true, platform: 'browser' } as const
    return build({ ...options, entryPoints: { main: file }, absWorkingDir: project, outdir })
  },
  webpack: builtByWebpack(true),
  vite: builtBy(project => createRequire(join(project, 'package.json')).resolve('vite')),
}

/** The Vite that VitePress brings, an older one. */
export const olderVite = builtBy(() => {
  const vitepress = join(root, 'docs', 'node_modules', 'vitepress', 'package.json')
  return createRequire(realpathSync(vitepress)).resolve('vite')
})

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
    await bundlers[name](project, file, join(project, 'packed'))
    return gzipSync(readFileSync(join(project, 'packed', 'main.js'))).length
  }
  return { one: await size('{ grid }'), whole: await size('* as all') }
}
