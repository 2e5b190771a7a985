// What a token costs on a GPU: dispatches and bytes, counted from the program, beside the least that could be; tokens per second
// and kernel times where there is a GPU.
//
//   npx tsx --conditions=@reallm/source tools/bench/webgpu.ts [--artifacts DIR,DIR] [--shapes smollm2,7b] [--contexts 128,1024]
//     [--tokens 32] [--bits 2.5] [--states 10] [--layers N] [--models FOLDER] [--record]
//   npx tsx --conditions=@reallm/source tools/bench/webgpu.ts --bundle FOLDER
//
// Shapes are artifacts of random codes. `models` is a folder of models whose logits are first compared with those of the CPU.
// `bundle` writes one file and Dawn's library to a folder that runs on another machine by
// `node FOLDER/webgpu-bench.mjs --out OUT`, with nothing installed.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { packages, startBench } from '../results/record.ts'
import type { ModelResult } from './webgpu/model.ts'

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
  what: 'A token on a GPU by WebGPU, counted from the dispatches: bytes that each reads and writes, beside the least possible (stored bytes that a token needs, and keys and values on two bytes each).',
  sources: packages('kernels', 'runtime'),
  columns: {
    model: { label: 'model' },
    context: { label: 'context', unit: 'tokens', digits: 0 },
    dispatches: { label: 'dispatches', digits: 0 },
    dispatchesPerLayer: { label: 'a layer', digits: 0 },
    weights: { label: 'weights, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    cache: { label: 'keys, values, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    vectors: { label: 'between kernels, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    ratio: { label: 'to the least', digits: 3 },
    heap: { label: 'heap while loading, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
    staging: { label: 'buffers beside it, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
    adapter: { label: 'adapter' },
    prompt: { label: 'prompt, tokens/s', unit: 'tokens per second', precision: 3 },
    decode: { label: 'decode, tokens/s', unit: 'tokens per second', precision: 3 },
  },
  key: ['adapter', 'model', 'context'],
  seed: 1,
})
const folder = mkdtempSync(join(tmpdir(), 'reallm-webgpu-'))
execFileSync(process.execPath, [await bundle(folder), '--out', folder, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
const report: { adapter: { description: string }; results: ModelResult[] } = JSON.parse(
  readFileSync(join(folder, 'webgpu.json'), 'utf8'),
)
finish(
  report.results.flatMap(({ model, counts, load, speed }) =>
    counts.map(({ context, least, ...count }) => ({
      ...{ adapter: report.adapter.description, model, context, ...count },
      ratio: (count.weights + count.cache + count.vectors) / least,
      ...{ heap: load.heapBytes, staging: load.stagingBytes },
      prompt: speed.find(of => of.context === context)?.prompt,
      decode: speed.find(of => of.context === context)?.decode,
    })),
  ),
)
