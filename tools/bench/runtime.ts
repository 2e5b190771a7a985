// Prompt and decoding speed, memory and file size of SmolLM2-135M: ours in Node against node-llama-cpp, and ours in
// Chromium against wllama. The contenders take turns, one process at a time; the best of all rounds counts.
//
//   npx tsx --conditions=@reallm/source tools/bench/runtime.ts --model smollm2.gguf --artifact DIR --with FOLDER
//     [--only node,native,page,wllama] [--prompt 128] [--tokens 32] [--threads 1,2] [--weights expanded]
//     [--turns 2] [--rounds 2] [--patience 300]
//
// FOLDER is one where `npm i --ignore-scripts @wllama/wllama node-llama-cpp playwright-core` was run; without it only
// `node` runs. Ours runs the compressed model in DIR, or the GGUF when there is none; the others run the GGUF. After
// `patience` seconds a contender is given up; one that fails is a row that says why.
import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
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
const patience = Number(values.patience)
const only = values.only.split(',').filter(name => name === 'node' || values.with)

/** What is compared, ours first. */
const rivals = [
  ['node', 'native'],
  ['page', 'wllama'],
] as const
const ours = rivals.map(([name]) => name as string)

/** Runs a contender once, with everything it starts. */
function run(name: string, task: Task): Promise<Measured> {
  const script = new URL(`runtime/${name}.ts`, import.meta.url).pathname
  const child = spawn(process.execPath, [...process.execArgv, script, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let [out, errors, late] = ['', '', false]
  // what runs in Chromium gives up by itself a little earlier
  const timer = setTimeout(
    () => {
      late = true
      process.kill(-child.pid!, 'SIGKILL')
    },
    1000 * (patience + 20),
  )
  child.stdout.on('data', chunk => {
    out += chunk
  })
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('close', code => {
      clearTimeout(timer)
      const line = out.trim().split('\n').at(-1) ?? ''
      if (code === 0 && line.startsWith('{')) return resolve(JSON.parse(line))
      const why = /\w*Error: .*$/m.exec(errors)?.[0] ?? errors.trim().split('\n').at(-1)
      reject(new Error(late ? `nothing after ${patience} s` : (why ?? `it ended with code ${code}`)))
    })
  })
}

const best = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)

/** The best of two turns. */
const better = (a: Measured | undefined, b: Measured): Measured => ({
  ...b,
  prompt: best(a?.prompt, b.prompt)!,
  decode: best(a?.decode, b.decode)!,
  promptCpu: best(a?.promptCpu, b.promptCpu),
  decodeCpu: best(a?.decodeCpu, b.decodeCpu),
})

const fileBytes = (name: string): number =>
  ours.includes(name) && values.artifact
    ? readdirSync(values.artifact)
        .filter(file => file.endsWith('.safetensors'))
        .reduce((sum, file) => sum + statSync(join(values.artifact!, file)).size, 0)
    : statSync(values.model!).size

const rounded = (x: number | undefined) => (x === undefined ? '' : Number(x.toPrecision(3)))
const rows: Record<string, object> = {}
const ratios: Record<string, object> = {}
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
    patience,
  }
  const measured = new Map<string, Measured>()
  const failed = new Map<string, string>()
  for (let turn = 1; turn <= Number(values.turns); turn++) {
    for (const name of only) {
      console.error(`${name}, threads ${threads}, turn ${turn} …`)
      try {
        measured.set(name, better(measured.get(name), await run(name, task)))
      } catch (error) {
        failed.set(name, (error as Error).message)
      }
    }
  }
  for (const name of only) {
    const m = measured.get(name)
    rows[`${name}, threads ${threads}`] = m
      ? {
          what: m.what,
          'prompt, tokens/s': rounded(m.prompt),
          'decode, tokens/s': rounded(m.decode),
          'prompt, per CPU s': rounded(m.promptCpu),
          'decode, per CPU s': rounded(m.decodeCpu),
          'memory, MB': m.memory ? Math.round(m.memory / 1e6) : '',
          'file, MB': rounded(fileBytes(name) / 1e6),
        }
      : { what: `failed: ${failed.get(name)}` }
  }
  for (const [mine, theirs] of rivals) {
    const [a, b] = [measured.get(mine), measured.get(theirs)]
    if (!a || !b) continue
    const ratio = (x: number | undefined, y: number | undefined) => (x && y ? rounded(x / y) : '')
    ratios[`${mine} / ${theirs}, threads ${threads}`] = {
      prompt: ratio(a.prompt, b.prompt),
      decode: ratio(a.decode, b.decode),
      'prompt, per CPU s': ratio(a.promptCpu, b.promptCpu),
      'decode, per CPU s': ratio(a.decodeCpu, b.decodeCpu),
      memory: ratio(a.memory, b.memory),
      file: ratio(fileBytes(mine), fileBytes(theirs)),
    }
  }
}
console.log(`prompt of ${values.prompt} tokens, ${values.tokens} decoded, Node ${process.version}`)
console.table(rows)
console.table(ratios)
