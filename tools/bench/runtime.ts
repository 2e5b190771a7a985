// Prompt and decoding speed, memory and file size of SmolLM2-135M: ours in Node against node-llama-cpp, and ours in
// Chromium against wllama. The contenders take turns, one process at a time; the best of all rounds counts.
//
//   npx tsx --conditions=@reallm/source tools/bench/runtime.ts --model smollm2.gguf --artifact DIR --with FOLDER
//     [--only node,packed,native,page,wllama] [--prompt 128,2048] [--tokens 32] [--threads 1,2] [--weights expanded]
//     [--nodes BINARY,BINARY] [--turns 2] [--rounds 2] [--patience 300] [--busy] [--record]
//
// FOLDER is one where `npm i --ignore-scripts @wllama/wllama node-llama-cpp playwright-core` was run; without it only
// `node` and `packed` run (Node with packed weights). Ours runs the compressed model in DIR, or the GGUF when there is none; the
// others run the GGUF. `--nodes` are the Nodes that run ours (`npm i node@22` brings one); default: this one. After `patience` seconds
// a contender is stopped (`--prompt 8160 --tokens 32 --rounds 1 --patience 1200` fills the 8,192 positions that SmolLM2 has); one that
// fails says why and has no row. `--busy` leaves out what was measured by the clock: for machines that do
// other work meanwhile.
import { readdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { packages, startBench } from '../results/record.ts'
import { speedColumns } from './runtime/columns.ts'
import { better, runContender } from './runtime/contender.ts'
import type { Measured, Task } from './runtime/task.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    artifact: { type: 'string' },
    with: { type: 'string' },
    only: { type: 'string', default: 'node,packed,native,page,wllama' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '32' },
    threads: { type: 'string', default: '1' },
    nodes: { type: 'string', default: process.execPath },
    turns: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '2' },
    weights: { type: 'string', default: 'expanded' },
    patience: { type: 'string', default: '300' },
    busy: { type: 'boolean', default: false },
  },
})
if (!values.model) throw new Error('name a GGUF file: --model smollm2.gguf')
const finish = startBench({
  name: 'runtime',
  what: 'Prompt and decoding speed of SmolLM2-135M: this runtime with a compressed model or the GGUF that is named, the others with the Q4_1 GGUF of 98.4 MB.',
  sources: packages('kernels', 'runtime'),
  columns: {
    ...speedColumns,
    memory: { label: 'memory, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
  },
  key: ['contender', 'length'],
  seed: null,
})
/** What runs in Node by this runtime. */
const inNode = ['node', 'packed']

interface Contender {
  readonly name: string
  /** The Node that it runs on. */
  readonly node: string
}

const contenders: Contender[] = values.only
  .split(',')
  .filter(name => inNode.includes(name) || values.with)
  .flatMap(name =>
    (inNode.includes(name) ? values.nodes.split(',') : [process.execPath]).map(node => ({ name, node })),
  )

/** Contenders that run the compressed model. */
const ours = [...inNode, 'page']

const fileBytes = (name: string): number =>
  ours.includes(name) && values.artifact
    ? readdirSync(values.artifact)
        .filter(file => /\.(safetensors|bin)$/.test(file))
        .reduce((sum, file) => sum + statSync(join(values.artifact!, file)).size, 0)
    : statSync(values.model!).size

/** Runs a contender once. */
const run = ({ name, node }: Contender, task: Task): Promise<Measured> =>
  name === 'packed' ? runContender('node', { ...task, weights: name }, node) : runContender(name, task, node)

const numbers = (list: string) => list.split(',').map(Number)
const settings = numbers(values.threads).flatMap(threads =>
  numbers(values.prompt).map(length => ({ threads, length })),
)
const rows = []
for (const { threads, length } of settings) {
  const task: Task = {
    model: values.model,
    artifact: values.artifact,
    folder: values.with,
    promptTokens: length,
    tokens: Number(values.tokens),
    threads,
    rounds: Number(values.rounds),
    weights: values.weights,
    patience: Number(values.patience),
  }
  const measured = new Map<Contender, Measured>()
  const failed = new Map<Contender, string>()
  for (let turn = 1; turn <= Number(values.turns); turn++) {
    for (const contender of contenders) {
      console.error(`${contender.name}, threads ${threads}, prompt ${length}, turn ${turn} …`)
      try {
        measured.set(contender, better(measured.get(contender), await run(contender, task)))
      } catch (error) {
        failed.set(contender, (error as Error).message)
      }
    }
  }
  for (const one of contenders) {
    const m = measured.get(one)
    if (!m) {
      console.error(`${one.name}, threads ${threads} failed: ${failed.get(one)}`)
      continue
    }
    const { what, prompt, decode, promptCpu, decodeCpu, memory } = m
    const type = ours.includes(one.name) && !values.artifact ? `, ${basename(values.model, '.gguf')}` : ''
    const contender = `${what}${type}, ${threads} thread(s)`
    const byClock = values.busy ? {} : { prompt, decode }
    rows.push({ contender, length, ...byClock, promptCpu, decodeCpu, memory, file: fileBytes(one.name) })
  }
}
finish(rows)
