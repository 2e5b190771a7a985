/**
 * One model as each target writes it: what it loses, and how fast the program that reads it writes text. What was lost is
 * taken from docs/results, from the row of the file's size; the speeds are measured side by side, in turns.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/targets.ts --reallm DIR --gguf FILE --onnx DIR --with FOLDER
 *     [--prompt 128] [--tokens 32] [--threads 1] [--turns 2] [--record]
 *
 * FOLDER is one where `npm i --ignore-scripts node-llama-cpp` was run.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packages, startBench } from '../results/record.ts'
import { readResults } from '../results/schema.ts'
import { better, runContender } from './runtime/contender.ts'
import type { Measured } from './runtime/task.ts'

const { values } = parseArgs({
  options: {
    reallm: { type: 'string' },
    gguf: { type: 'string' },
    onnx: { type: 'string' },
    with: { type: 'string' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '32' },
    threads: { type: 'string', default: '1' },
    turns: { type: 'string', default: '2' },
  },
})
const { reallm, gguf, onnx } = values
if (!reallm || !gguf || !onnx || !values.with) throw new Error('needs --reallm, --gguf, --onnx and --with')

const finish = startBench({
  name: 'targets',
  what: 'SmolLM2-135M-Instruct as each target writes it: size, loss, and speed of the program that reads it.',
  sources: packages('kernels', 'runtime'),
  columns: {
    target: { label: 'target' },
    where: { label: 'runs in' },
    bytes: { label: 'file, MB', unit: 'bytes', scale: 1e-6, digits: 1 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 3 },
    measured: { label: 'speed of' },
    prompt: { label: `prompt of ${values.prompt}, tokens/s`, unit: 'tokens per second', precision: 3 },
    decode: { label: 'decode, tokens/s', unit: 'tokens per second', precision: 3 },
    memory: { label: 'memory, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
  },
  key: ['target'],
  seed: null,
})

const targets = [
  {
    ...{ target: '`reallm`', where: 'this library: Node, pages, servers; npm and CDNs', results: 'quality' },
    ...{ script: 'node', artifact: reallm, bytes: bytesIn(reallm, '.safetensors') },
  },
  {
    ...{
      target: '`gguf`',
      where: 'llama.cpp, Ollama, LM Studio, wllama, node-llama-cpp',
      results: 'quality',
    },
    ...{ script: 'native', artifact: undefined, bytes: statSync(gguf).size },
  },
  {
    ...{ target: '`onnx`', where: 'transformers.js, ONNX Runtime', results: 'onnx-target' },
    ...{ script: 'onnx', artifact: onnx, bytes: bytesIn(join(onnx, 'onnx'), '') },
  },
]
const found = new Map<string, Measured>()
for (let turn = 1; turn <= Number(values.turns); turn++) {
  for (const { target, script, artifact } of targets) {
    console.error(`${target}, turn ${turn} …`)
    const task = {
      ...{ model: gguf, artifact, folder: values.with, weights: 'expanded', rounds: 2, patience: 100 },
      ...{
        promptTokens: Number(values.prompt),
        tokens: Number(values.tokens),
        threads: Number(values.threads),
      },
    }
    found.set(target, better(found.get(target), await runContender(script, task)))
  }
}
finish(
  targets.map(({ target, where, bytes, results }) => {
    const { what, prompt, decode, memory } = found.get(target)!
    return { target, where, bytes, kl: klOf(results, bytes), measured: what, prompt, decode, memory }
  }),
)

function bytesIn(folder: string, end: string): number {
  const files = readdirSync(folder).filter(name => name.endsWith(end))
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

/** KL divergence in the row of this size, to a thousandth. */
function klOf(results: string, bytes: number): number {
  const rows = readResults(results).runs.flatMap(run => run.rows)
  const row = rows.find(r => r.kl !== undefined && Math.abs(Number(r.bytes) / bytes - 1) < 1e-3)
  if (!row) throw new Error(`docs/results/${results}.json has no row of ${bytes} bytes`)
  return Number(row.kl)
}
