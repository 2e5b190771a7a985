// Fine-tuning the compressed embedded model on TensorFlow.js's WebGPU backend beside its WebAssembly backend: the same steps, their
// losses and CPU time. Without a GPU the adapter is a software one: VK_ICD_FILENAMES and LD_LIBRARY_PATH name Chromium's.
//
//   npx tsx --conditions=@reallm/source tools/bench/finetune-webgpu.ts [--steps 3] [--length 8] [--record]
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compress } from '../../packages/pipeline/src/index.ts'
import { compression, startBench } from '../results/record.ts'
import type { Steps } from './finetune-webgpu/steps.ts'

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '3' }, length: { type: 'string', default: '8' } },
})
const finish = startBench({
  name: 'finetune-webgpu',
  what: 'Steps of fine-tuning the embedded model, uniform integers of 3 bits, on the original’s predictions: TensorFlow.js’s WebGPU backend beside WebAssembly. CPU time is that of a step after the first.',
  sources: compression,
  columns: {
    backend: { label: 'backend' },
    adapter: { label: 'adapter' },
    steps: { label: 'steps', unit: '', digits: 0 },
    tokens: { label: 'tokens a step', digits: 0 },
    first: { label: 'first loss', unit: 'nats per token', digits: 5 },
    last: { label: 'last loss', unit: 'nats per token', digits: 5 },
    difference: { label: 'losses from WebAssembly’s, at most', unit: 'ratio', precision: 2 },
    cpuSeconds: { label: 'CPU s a step', unit: 's', precision: 3 },
  },
  key: ['backend'],
  seed: 0,
})
const original = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')
const work = mkdtempSync(join(tmpdir(), 'reallm-finetune-webgpu-'))
const compressed = join(work, 'compressed')
await compress(original, { to: compressed, recipe: 'rtn', bits: 3, evaluate: false, backend: 'wasm' })

function stepsOn(backend: 'wasm' | 'webgpu'): Steps {
  const out = join(work, `${backend}.json`)
  const script = join(import.meta.dirname, 'finetune-webgpu', 'steps.ts')
  const args = [script, backend, compressed, original, values.steps, values.length, out]
  execFileSync(process.execPath, [...process.execArgv, ...args], { stdio: 'inherit' })
  return JSON.parse(readFileSync(out, 'utf8'))
}

const wasm = stepsOn('wasm')
const webgpu = stepsOn('webgpu')
const row = (backend: string, { losses, cpuSeconds, adapter }: Steps) => ({
  ...{ backend, adapter, steps: losses.length, tokens: Number(values.length), cpuSeconds },
  ...{ first: losses[0], last: losses.at(-1)! },
})
const differences = webgpu.losses.map((loss, i) => Math.abs(loss / wasm.losses[i] - 1))
finish([row('wasm', wasm), { ...row('webgpu', webgpu), difference: Math.max(...differences) }])
rmSync(work, { recursive: true })
