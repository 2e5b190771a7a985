import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'

const packages = join(import.meta.dirname, '..', 'packages')

/**
 * What a page fetches at once for these lines, minified and compressed, wasm inside: bytes, and the files in them. `later` are
 * sources that it imports afterwards, to be counted as well.
 */
async function initialBundle(
  name: string,
  what: string,
  platform: 'browser' | 'node' = 'browser',
  later: readonly string[] = [],
  index = 'index.ts',
) {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: `import ${what} from './${index}'; globalThis.used = [${what.replace(/[{}]|\* as/g, '')}]`,
      resolveDir: join(packages, name, 'src'),
    },
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    write: false,
    metafile: true,
    outdir: 'out',
    target: 'es2022',
    platform,
    conditions: ['@reallm/source', platform],
    external: ['@tensorflow/*'],
  })
  const needed = new Set<string>()
  const packagesNeeded = new Set<string>()
  const visit = (path: string) => {
    if (needed.has(path)) return
    needed.add(path)
    for (const { path: next, kind, external } of metafile.outputs[path].imports) {
      if (kind !== 'import-statement') continue
      if (external) packagesNeeded.add(next)
      else visit(next)
    }
  }
  visit('out/stdin.js')
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (entryPoint && later.some(source => entryPoint.endsWith(source))) visit(path)
  }
  const chunks = outputFiles.filter(file => [...needed].some(path => file.path.endsWith(path)))
  return {
    bytes: chunks.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0),
    files: [...[...needed].flatMap(path => Object.keys(metafile.outputs[path].inputs)), ...packagesNeeded],
  }
}

/** What it fetches for the family of a model. */
const llama = 'tensor-io/src/models/families/llama.ts'

/** What a page fetches next that runs a model on WebAssembly. */
const wasmBackend = 'runtime/src/backend/wasm/wasm-backend.ts'

/** What a page fetches next that runs a model on a GPU. */
const gpuBackend = 'runtime/src/backend/webgpu/open.ts'

/** kB of 1000 bytes for what a page typically takes of a package, and for all of it. */
describe.each([
  ['tensor-io', '{ openModel }', 11, 31],
  ['kernels', '{ matmul }', 17, 50],
  ['vq', '{ trellis }', 43, 75],
  ['lowrank', '{ lowrank }', 27, 35],
  ['runtime', '{ load }', 66, 66, [wasmBackend, llama]],
  ['transformer', '{ openWeights, useBackend }', 25.5, 39],
  ['autoencoder', '{ implicit }', 25, 30],
  ['finetune', '{ finetuneArtifact }', 39, 46.5],
  ['eval', '{ perplexity }', 13, 17.5],
] as const)('%s', (name, part, least, all, later: readonly string[] = []) => {
  test.each([
    [part, least],
    ['* as all', all],
  ])(`import %s costs at most %s kB, none of it TensorFlow.js`, async (what, kB) => {
    const { bytes, files } = await initialBundle(name, what, 'browser', later)
    expect(files.filter(path => path.includes('@tensorflow'))).toEqual([])
    expect(bytes).toBeLessThan(1000 * kB)
  })
})

test('vq: uniform integers cost at most 15 kB, without the kernels of other codecs', async () => {
  const { bytes, files } = await initialBundle('vq', '{ grid }')
  expect(files.filter(path => path.endsWith('wasm/encode.ts'))).toEqual([])
  expect(bytes).toBeLessThan(15_000)
})

test('vq: rounding with rotation and error feedback costs at most 49 kB, without TensorFlow.js and the pipeline', async () => {
  const { bytes, files } = await initialBundle('vq', '{ trellis, rotated, withFeedback }')
  expect(files.filter(path => /@tensorflow|packages\/(pipeline|transformer)\//.test(path))).toEqual([])
  expect(files.some(path => path.endsWith('transforms/rotate.ts'))).toBe(true)
  expect(bytes).toBeLessThan(49_000)
})

test('the runtime brings its wasm, and neither schemas nor tokenizer before a model needs them', async () => {
  const { files } = await initialBundle('runtime', '{ load }', 'browser', [wasmBackend])
  expect(files.filter(path => /node_modules|gguf\/open|backend\/reference/.test(path))).toEqual([])
  expect(files.some(path => path.endsWith('wasm/inference.ts'))).toBe(true)
})

test('a model of the default recipe fetches at most 96 kB of the runtime in all', async () => {
  const codecs = ['grid', 'rotated', 'scaled', 'trellis'].map(
    file => `runtime/src/backend/wasm/linear/${file}.ts`,
  )
  const { bytes, files } = await initialBundle('runtime', '{ load }', 'browser', [
    wasmBackend,
    llama,
    ...codecs,
  ])
  for (const source of codecs) expect(files.some(path => path.endsWith(source))).toBe(true)
  expect(bytes).toBeLessThan(96_000)
})

test('a page that runs a model on a GPU fetches at most 90 kB of the runtime, without wasm and files on disk', async () => {
  const { bytes, files } = await initialBundle('runtime', '{ load }', 'browser', [gpuBackend, llama])
  expect(files.filter(path => /backend\/wasm|wasm\/inference|source\/file-/.test(path))).toEqual([])
  expect(files.some(path => path.endsWith('webgpu/trellis-matvec.ts'))).toBe(true)
  expect(bytes).toBeLessThan(90_000)
})

test('import from the umbrella loads no TensorFlow.js before it is needed', async () => {
  const { files } = await initialBundle('reallm', '{ compress, load, vq, lowrank, tuning }', 'node')
  expect(files.filter(path => path.includes('@tensorflow'))).toEqual([])
})

test('the command line says its version before it loads what computes', async () => {
  const { files } = await initialBundle('reallm', '{ run }', 'node', [], 'run.ts')
  expect(files.some(path => path.endsWith('reallm/src/run.ts'))).toBe(true)
  expect(
    files.filter(path => /@tensorflow|packages\/(pipeline|runtime|transformer|kernels|vq)\//.test(path)),
  ).toEqual([])
})
