import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { expect, it } from 'vitest'

/** Bytes that a page fetches for `import { load } from '@reallm/runtime'`, wasm inside, tokenizer apart. */
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
  const apart = (path: string) => /@huggingface.*(tokenizers|jinja)/.test(path)
  const inputs = (out: string) =>
    Object.keys(Object.entries(metafile.outputs).find(([k]) => out.endsWith(k))![1].inputs)
  const needed = outputFiles.filter(({ path }) => !inputs(path).some(apart))
  expect(needed.length).toBeLessThan(outputFiles.length)
  expect(Object.keys(metafile.inputs).filter(path => /tfjs|node_modules\/zod/.test(path))).toEqual([])
  const bytes = needed.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0)
  expect(bytes).toBeLessThan(BUDGET)
})
