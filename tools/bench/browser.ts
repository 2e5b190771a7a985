// SmolLM2-135M in one browser: this runtime, wllama and transformers.js, one process at a time, in turns; the best of all rounds counts.
// Where Chromium has a GPU that is not software, each runs on WebGPU too.
//
//   npx tsx --conditions=@reallm/source tools/bench/browser.ts --model smollm2.gguf --artifact DIR --with FOLDER
//     [--onnx DIR] [--only page,wllama,transformers] [--prompt 128] [--tokens 32] [--threads 1,2] [--turns 2] [--rounds 2]
//     [--patience 300] [--record]
//
// FOLDER is one where `npm i --ignore-scripts @wllama/wllama @huggingface/transformers playwright-core` was run. Ours runs the compressed model
// in DIR, wllama the GGUF, transformers.js the directory of `--onnx`; without it, the GGUF's matrices are first rounded to 4 bits, as converters
// to ONNX do. Processor time is that of the whole browser.
import { readdirSync, statSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compress } from '../../packages/pipeline/src/index.ts'
import { packages, startBench } from '../results/record.ts'
import { nearest } from './onnx-target/nearest.ts'
import { findGpu } from './runtime/chromium.ts'
import { speedColumns } from './runtime/columns.ts'
import { better, runContender } from './runtime/contender.ts'
import type { Measured, Task } from './runtime/task.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    artifact: { type: 'string' },
    with: { type: 'string' },
    onnx: { type: 'string' },
    only: { type: 'string', default: 'page,wllama,transformers' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '32' },
    threads: { type: 'string', default: '1,2' },
    turns: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '2' },
    patience: { type: 'string', default: '300' },
  },
})
const { model, artifact, with: folder } = values
if (!model || !artifact || !folder)
  throw new Error('--model, --artifact and --with are needed; see this file')
const finish = startBench({
  name: 'browser',
  what: 'SmolLM2-135M in one browser, the same prompt and as many tokens: this runtime with the compressed model, wllama with the Q4_1 GGUF, transformers.js with matrices of 4 bits in ONNX.',
  sources: packages('kernels', 'runtime'),
  columns: {
    ...speedColumns,
    load: { label: 'load of the machine', unit: 'processes', digits: 0 },
  },
  key: ['contender', 'length'],
  seed: null,
})
const work = await mkdtemp(join(tmpdir(), 'reallm-browser-'))

async function roundedModel(): Promise<string> {
  const to = join(work, 'onnx')
  console.error('rounding the model to 4 bits for ONNX …')
  await compress(model!, { to, recipe: nearest, target: 'onnx', bits: 6, evaluate: false, effort: 'fast' })
  return to
}
const only = values.only.split(',')
const onnx = values.onnx ?? (only.includes('transformers') ? await roundedModel() : undefined)

/** Bytes of a model's weights. */
function bytesOf(name: string): number {
  if (name === 'wllama') return statSync(model!).size
  const files = readdirSync(name === 'page' ? artifact! : onnx!, { recursive: true, withFileTypes: true })
  return files
    .filter(file => /\.(safetensors|bin|onnx|onnx_data)$/.test(file.name))
    .reduce((sum, file) => sum + statSync(join(file.parentPath, file.name)).size, 0)
}

const gpu = await findGpu(folder)
console.error(gpu ? `WebGPU on ${gpu}` : 'no GPU but software: on the CPU alone')
const numbers = (list: string) => list.split(',').map(Number)
const settings = [
  ...numbers(values.threads).map(threads => ({ threads, gpu: false })),
  ...(gpu ? [{ threads: 1, gpu: true }] : []),
]
for (const setting of settings) {
  const task: Task = {
    ...{
      model,
      artifact,
      folder,
      onnx,
      weights: 'expanded',
      promptTokens: Number(values.prompt),
      ...setting,
    },
    ...{ tokens: Number(values.tokens), rounds: Number(values.rounds), patience: Number(values.patience) },
  }
  const measured = new Map<string, Measured & { readonly load: number }>()
  for (let turn = 1; turn <= Number(values.turns); turn++) {
    for (const name of only) {
      console.error(`${name}, ${JSON.stringify(setting)}, turn ${turn} …`)
      try {
        const found = better(measured.get(name), await runContender(name, task))
        measured.set(name, { ...found, load: Math.max(loadavg()[0], measured.get(name)?.load ?? 0) })
      } catch (error) {
        console.error(`${name} failed: ${(error as Error).message}`)
      }
    }
  }
  finish(
    [...measured].map(([name, { what, memory: _, ...speeds }]) => ({
      ...{ contender: setting.gpu ? `${what}, ${gpu}` : what, length: task.promptTokens },
      ...{ ...speeds, file: bytesOf(name) },
    })),
  )
}
await rm(work, { recursive: true, force: true })
