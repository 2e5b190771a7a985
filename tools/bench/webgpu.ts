// Models of random codes on the GPU that there is: dispatches and bytes of a token, tokens per second, kernel times.
//
//   npx tsx --conditions=@reallm/source tools/bench/webgpu.ts [--shapes smollm2,7b] [--contexts 128,1024] [--tokens 32]
//     [--bits 2.5] [--states 10] [--layers N] [--models FOLDER] [--record]
//   npx tsx --conditions=@reallm/source tools/bench/webgpu.ts --bundle FOLDER
//
// `models` is a folder of models whose logits are first compared with those of the CPU. `bundle` writes one file and Dawn's library
// to a folder that runs on another machine by `node FOLDER/webgpu-bench.mjs --out OUT`, with nothing installed.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { packages, startBench } from '../results/record.ts'
import type { ShapeResult } from './webgpu/main.ts'

async function bundle(folder: string): Promise<string> {
  const outfile = join(folder, 'webgpu-bench.mjs')
  await build({
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node20', outfile, external: ['*.node'] },
    entryPoints: [join(import.meta.dirname, 'webgpu', 'main.ts')],
    conditions: ['@reallm/source'],
    banner: {
      js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url)",
    },
  })
  const library = join('dist', `${process.platform}-${process.arch}`)
  const dawn = dirname(createRequire(import.meta.url).resolve('webgpu'))
  mkdirSync(join(folder, library), { recursive: true })
  cpSync(join(dawn, library), join(folder, library), { recursive: true })
  return outfile
}

const at = process.argv.indexOf('--bundle')
if (at >= 0) {
  console.log(await bundle(process.argv[at + 1]))
  process.exit()
}
const finish = startBench({
  name: 'webgpu',
  what: 'Models of random trellis codes on a GPU by WebGPU: what a token costs, and how fast tokens come.',
  sources: packages('kernels', 'runtime'),
  columns: {
    adapter: { label: 'adapter' },
    shape: { label: 'shape' },
    stateBits: { label: 'L', digits: 0 },
    dispatches: { label: 'dispatches a token', digits: 0 },
    dispatchesPerLayer: { label: 'a layer', digits: 0 },
    bytes: { label: 'bytes a token, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    ratio: { label: 'to the least', digits: 3 },
    context: { label: 'context', unit: 'tokens', digits: 0 },
    prompt: { label: 'prompt, tokens/s', unit: 'tokens per second', precision: 3 },
    decode: { label: 'decode, tokens/s', unit: 'tokens per second', precision: 3 },
  },
  key: ['adapter', 'shape', 'stateBits', 'context'],
  seed: 1,
})
const folder = mkdtempSync(join(tmpdir(), 'reallm-webgpu-'))
execFileSync(process.execPath, [await bundle(folder), '--out', folder, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
const report: { adapter: { description: string }; results: ShapeResult[] } = JSON.parse(
  readFileSync(join(folder, 'webgpu.json'), 'utf8'),
)
finish(
  report.results.flatMap(({ speed, kernels, ...result }) =>
    speed.map(({ context, prompt, decode, bytes, least }) => ({
      ...{ adapter: report.adapter.description, shape: result.shape, stateBits: result.stateBits },
      ...{ dispatches: result.dispatches, dispatchesPerLayer: result.dispatchesPerLayer },
      ...{ bytes, ratio: bytes / least, context, prompt, decode },
    })),
  ),
)
