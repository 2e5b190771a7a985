/**
 * One model as each target writes it: what it loses, and how fast programs that read it write text. GGUF is also run by this
 * library, as it is stored and expanded. What was lost is taken from docs/results, from the row of the same file; programs
 * take turns, and speeds are of processor time, which other work on the machine disturbs less.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/targets.ts --reallm DIR --gguf FILE --onnx DIR
 *     [--with packages/testing] [--prompt 128] [--tokens 32] [--turns 2] [--patience 300] [--record]
 *
 * `--with` names a folder that has node-llama-cpp among its modules.
 */
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
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
    with: { type: 'string', default: 'packages/testing' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '32' },
    turns: { type: 'string', default: '2' },
    patience: { type: 'string', default: '300' },
  },
})
const { reallm, gguf, onnx } = values
if (!reallm || !gguf || !onnx) throw new Error('needs --reallm, --gguf and --onnx')

/** What runs a file, by a script of ./runtime. */
interface Program {
  readonly target: string
  readonly where: string
  readonly bytes: number
  readonly kl: number
  readonly script: 'node' | 'native' | 'onnx'
  readonly artifact?: string
  readonly weights?: 'packed' | 'expanded'
}

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
    prompt: {
      label: `prompt of ${values.prompt}, tokens per CPU s`,
      unit: 'tokens per CPU second',
      precision: 3,
    },
    decode: { label: 'decode, tokens per CPU s', unit: 'tokens per CPU second', precision: 3 },
    memory: { label: 'memory, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
  },
  key: ['target', 'measured'],
  seed: null,
})

const here = 'this library: Node, pages, servers; npm and CDNs'
const asReallm = written('reallm', bytesIn(reallm, '.safetensors'), 'quality')
const asGguf = written('gguf', statSync(gguf).size, 'gguf-target')
const asOnnx = written('onnx', bytesIn(join(onnx, 'onnx'), ''), 'onnx-target')
const programs: readonly Program[] = [
  { ...asReallm, where: here, script: 'node', artifact: reallm, weights: 'expanded' },
  { ...asGguf, where: 'llama.cpp, Ollama, LM Studio, wllama, node-llama-cpp', script: 'native' },
  { ...asGguf, where: 'this library, as stored', script: 'node', weights: 'packed' },
  { ...asGguf, where: 'this library, expanded', script: 'node', weights: 'expanded' },
  { ...asOnnx, where: 'transformers.js, ONNX Runtime', script: 'onnx', artifact: onnx },
]
const found = new Map<Program, Measured>()
for (let turn = 1; turn <= Number(values.turns); turn++) {
  for (const program of programs) {
    const { target, where, script, artifact, weights = '' } = program
    console.error(`${target} in ${where}, turn ${turn} …`)
    const task = {
      ...{ model: gguf, artifact, weights, folder: resolve(values.with), threads: 1, rounds: 2 },
      ...{
        promptTokens: Number(values.prompt),
        tokens: Number(values.tokens),
        patience: Number(values.patience),
      },
    }
    found.set(program, better(found.get(program), await runContender(script, task)))
  }
}
finish(
  programs.map(program => {
    const { target, where, bytes, kl } = program
    const { what, promptCpu, decodeCpu, memory } = found.get(program)!
    return { target, where, bytes, kl, measured: what, prompt: promptCpu, decode: decodeCpu, memory }
  }),
)

function bytesIn(folder: string, end: string): number {
  const files = readdirSync(folder).filter(name => name.endsWith(end))
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

/** What a target has written, with the KL divergence in the row of docs/results that is of this file. */
function written(target: string, bytes: number, results: string) {
  const rows = readResults(results).runs.flatMap(run => run.rows)
  const row = rows.find(({ kl, bytes: recorded }) => kl !== undefined && recorded === bytes)
  if (!row) throw new Error(`docs/results/${results}.json has no row of ${bytes} bytes`)
  return { target: `\`${target}\``, bytes, kl: Number(row.kl) }
}
