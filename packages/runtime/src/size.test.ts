import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, it } from 'vitest'

/** Bytes that `import { load } from '@reallm/runtime'` fetches, wasm inside; tokenizer and GGUF reader come when needed. */
const BUDGET = 60_000

it('costs a page at most 60 kB, minified and compressed, and brings no TensorFlow.js and no schemas', async () => {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: "import { load } from './index.ts'; globalThis.load = load",
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    write: false,
    metafile: true,
    outdir: 'out',
    target: 'es2022',
    conditions: ['@reallm/source', 'browser'],
  })
  expect(Object.keys(metafile.inputs).filter(path => /tfjs|node_modules\/zod/.test(path))).toEqual([])
  const bytesOf = (path: string) => {
    const { contents } = outputFiles.find(file => file.path.endsWith(path))!
    return gzipSync(contents, { level: 9 }).length
  }
  const needed = new Set<string>()
  const visit = (path: string) => {
    if (needed.has(path)) return
    needed.add(path)
    for (const { path: next, kind } of metafile.outputs[path].imports)
      if (kind === 'import-statement') visit(next)
  }
  visit(Object.keys(metafile.outputs).find(path => metafile.outputs[path].entryPoint !== undefined)!)
  const inputs = [...needed].flatMap(path => Object.keys(metafile.outputs[path].inputs))
  expect(inputs.filter(path => /@huggingface/.test(path))).toEqual([])
  expect(inputs.some(path => path.endsWith('wasm/inference.ts'))).toBe(true)
  expect([...needed].reduce((sum, path) => sum + bytesOf(path), 0)).toBeLessThan(BUDGET)
})
