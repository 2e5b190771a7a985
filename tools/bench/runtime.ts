// Prompt and decoding speed, memory and file size of SmolLM2-135M: ours in Node against node-llama-cpp, and ours in
// Chromium against wllama. The contenders take turns, one process at a time; the best of all rounds counts.
//
//   npx tsx --conditions=@reallm/source tools/bench/runtime.ts --model smollm2.gguf --artifact DIR --with FOLDER
//     [--only node,native,page,wllama] [--prompt 128] [--tokens 32] [--threads 1,2] [--weights expanded]
//     [--turns 2] [--rounds 2] [--patience 300] [--record]
//
// FOLDER is one where `npm i --ignore-scripts @wllama/wllama node-llama-cpp playwright-core` was run; without it only
// `node` runs. Ours runs the compressed model in DIR, or the GGUF when there is none; the others run the GGUF. After
// `patience` seconds a contender is stopped; one that fails says why and has no row.
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packages, startBench } from '../results/record.ts'
import { better, runContender } from './runtime/contender.ts'
import type { Measured, Task } from './runtime/task.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    artifact: { type: 'string' },
    with: { type: 'string' },
    only: { type: 'string', default: 'node,native,page,wllama' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '32' },
    threads: { type: 'string', default: '1' },
    turns: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '2' },
    weights: { type: 'string', default: 'expanded' },
    patience: { type: 'string', default: '300' },
  },
})
if (!values.model) throw new Error('name a GGUF file: --model smollm2.gguf')
const finish = startBench({
  name: 'runtime',
  what: 'Prompt and decoding speed of SmolLM2-135M: this runtime with a compressed model, the others with the Q4_1 GGUF of 98.4 MB.',
  sources: packages('kernels', 'runtime'),
  columns: {
    contender: { label: 'contender' },
    prompt: { label: `prompt of ${values.prompt}, tokens/s`, unit: 'tokens per second', precision: 3 },
    decode: { label: 'decode, tokens/s', unit: 'tokens per second', precision: 3 },
    promptCpu: { label: 'prompt, per CPU s', unit: 'tokens per CPU second', precision: 3 },
    decodeCpu: { label: 'decode, per CPU s', unit: 'tokens per CPU second', precision: 3 },
    memory: { label: 'memory, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
    file: { label: 'file, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
  },
  key: ['contender'],
  seed: null,
})
const only = values.only.split(',').filter(name => name === 'node' || values.with)

/** Contenders that run the compressed model. */
const ours = ['node', 'page']

const fileBytes = (name: string): number =>
  ours.includes(name) && values.artifact
    ? readdirSync(values.artifact)
        .filter(file => file.endsWith('.safetensors'))
        .reduce((sum, file) => sum + statSync(join(values.artifact!, file)).size, 0)
    : statSync(values.model!).size

const rows = []
for (const threads of values.threads.split(',').map(Number)) {
  const task: Task = {
    model: values.model,
    artifact: values.artifact,
    folder: values.with,
    promptTokens: Number(values.prompt),
    tokens: Number(values.tokens),
    threads,
    rounds: Number(values.rounds),
    weights: values.weights,
    patience: Number(values.patience),
  }
  const measured = new Map<string, Measured>()
  const failed = new Map<string, string>()
  for (let turn = 1; turn <= Number(values.turns); turn++) {
    for (const name of only) {
      console.error(`${name}, threads ${threads}, turn ${turn} …`)
      try {
        measured.set(name, better(measured.get(name), await runContender(name, task)))
      } catch (error) {
        failed.set(name, (error as Error).message)
      }
    }
  }
  for (const name of only) {
    const m = measured.get(name)
    if (!m) {
      console.error(`${name}, threads ${threads} failed: ${failed.get(name)}`)
      continue
    }
    const { what, prompt, decode, promptCpu, decodeCpu, memory } = m
    const contender = `${what}, ${threads} thread(s)`
    rows.push({ contender, prompt, decode, promptCpu, decodeCpu, memory, file: fileBytes(name) })
  }
}
finish(rows)
