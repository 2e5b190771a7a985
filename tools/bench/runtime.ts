// Prompt and decoding speed of SmolLM2-135M (or another GGUF): ours in Node and in Chromium, wllama in Chromium,
// node-llama-cpp in Node; one process after the other, on one thread each.
//
//   npx tsx --conditions=@reallm/source tools/bench/runtime.ts --model smollm2.gguf --with FOLDER
//     [--only ours,page,wllama,native] [--prompt 256] [--tokens 64] [--threads 1] [--weights expanded] [--rounds 3]
//
// FOLDER is one where `npm i --ignore-scripts @wllama/wllama node-llama-cpp playwright-core` was run; without it only
// `ours` runs. `--artifact DIR` measures ours on a compressed model instead of the GGUF.
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import type { Measured, Task } from './runtime/task.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    artifact: { type: 'string' },
    with: { type: 'string' },
    only: { type: 'string', default: 'ours,page,wllama,native' },
    prompt: { type: 'string', default: '256' },
    tokens: { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    weights: { type: 'string', default: 'expanded' },
  },
})
if (!values.model) throw new Error('name a GGUF file: --model smollm2.gguf')

const task: Task = {
  model: values.model,
  artifact: values.artifact,
  folder: values.with,
  promptTokens: Number(values.prompt),
  tokens: Number(values.tokens),
  threads: Number(values.threads),
  rounds: Number(values.rounds),
  weights: values.weights,
}
const contenders: Record<string, string> = {
  ours: 'ours.ts',
  page: 'page.ts',
  wllama: 'wllama.ts',
  native: 'native.ts',
}
/** Milliseconds after which a contender is given up. */
const PATIENCE = 10 * 60_000

function run(file: string): Promise<Measured> {
  const script = new URL(`runtime/${file}`, import.meta.url).pathname
  const child = spawn(process.execPath, [...process.execArgv, script, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
  let out = ''
  child.stdout.on('data', chunk => {
    out += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('close', code => {
      clearTimeout(timer)
      const line = out.trim().split('\n').at(-1) ?? ''
      if (code === 0 && line.startsWith('{')) resolve(JSON.parse(line))
      else reject(new Error(`it ended with code ${code}`))
    })
  })
}

const results: Record<string, object> = {}
for (const name of values.only.split(',')) {
  if (name !== 'ours' && !values.with) continue
  console.error(`${name} …`)
  try {
    const { prompt, decode, promptCpu, decodeCpu, memory, what } = await run(contenders[name])
    results[name] = {
      what,
      'prompt, tokens/s': Number(prompt.toFixed(1)),
      'decode, tokens/s': Number(decode.toFixed(1)),
      'prompt, tokens/CPU s': promptCpu === undefined ? '' : Number(promptCpu.toFixed(1)),
      'decode, tokens/CPU s': decodeCpu === undefined ? '' : Number(decodeCpu.toFixed(1)),
      'memory, MB': memory ? Math.round(memory / 1e6) : '',
    }
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`)
  }
}
console.table(results)
