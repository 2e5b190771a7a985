// Steps per second and bytes of a training loop with LoRA of rank 8 on a model of SmolLM2-135M's shapes (random weights,
// 384 tokens, next-token loss, AdamW with clipping), on one thread: ours on each backend against the same loop in PyTorch.
//
//   npx tsx --conditions=@reallm/source tools/bench/finetune.ts [--python env/bin/python] [--only native,wasm,torch]
//     [--steps 5] [--tokens 384] [--layers 30] [--record]
//
// PyTorch runs when a Python that has it is given. One process after the other; CPU time is all threads'.
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'
import { packages, startBench } from '../results/record.ts'

const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    only: { type: 'string', default: 'native,wasm,torch' },
    steps: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '384' },
    layers: { type: 'string', default: '30' },
  },
})

const finish = startBench({
  name: 'finetune',
  what: 'A step of LoRA (rank 8, SmolLM2-135M’s shapes) on one thread, beside the same loop in PyTorch.',
  sources: packages('kernels', 'transformer', 'finetune'),
  columns: {
    backend: { label: 'backend' },
    wall: { label: 'steps per second', unit: 'steps per second', digits: 3 },
    steps: { label: 'steps per CPU second', unit: 'steps per CPU second', digits: 3 },
    bytes: { label: 'peak memory, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
    loss: { label: 'last loss', unit: 'nats per token', digits: 3 },
    speed: { label: 'speed, of PyTorch’s', unit: 'ratio', digits: 2 },
    memory: { label: 'peak memory, of PyTorch’s', unit: 'ratio', digits: 2 },
  },
  key: ['backend'],
  seed: 0,
})

/** What every contender trains. */
export interface Task {
  readonly steps: number
  readonly tokens: number
  readonly rank: number
  readonly learningRate: number
  readonly layers: number
  readonly hidden: number
  readonly inner: number
  readonly heads: number
  readonly kvHeads: number
  readonly vocabulary: number
}

/** What it says of it: seconds per step (the least of all steps but the first), peak of the resident memory. */
export interface Measured {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly bytes: number
  readonly losses: readonly number[]
}

const task: Task = {
  ...{ steps: Number(values.steps), tokens: Number(values.tokens), layers: Number(values.layers) },
  ...{ rank: 8, learningRate: 1e-3, hidden: 576, inner: 1536, heads: 9, kvHeads: 3, vocabulary: 49_152 },
}

function run(command: string, args: readonly string[]): Promise<Measured> {
  const env = { ...process.env, OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
  const child = spawn(command, [...args, JSON.stringify(task)], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', chunk => {
    out += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      const line = out.trim().split('\n').at(-1) ?? ''
      if (code === 0 && line.startsWith('{')) resolve(JSON.parse(line))
      else reject(new Error(`it ended with code ${code}`))
    })
  })
}

const script = (file: string) => new URL(`finetune/${file}`, import.meta.url).pathname
const contenders: Record<string, () => Promise<Measured>> = {
  native: () => run(process.execPath, [...process.execArgv, script('ours.ts'), 'native']),
  wasm: () => run(process.execPath, [...process.execArgv, script('ours.ts'), 'wasm']),
  ...(values.python !== undefined && { torch: () => run(values.python!, [script('torch_loop.py')]) }),
}

const measured: Record<string, Measured> = {}
for (const name of values.only.split(',')) {
  if (!contenders[name]) continue
  console.error(`${name} …`)
  try {
    measured[name] = await contenders[name]()
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`)
  }
}
const { torch } = measured
finish(
  Object.entries(measured).map(([backend, { seconds, cpuSeconds, bytes, losses }]) => ({
    ...{ backend, wall: 1 / seconds, steps: 1 / cpuSeconds, bytes, loss: losses.at(-1)! },
    ...(torch && { speed: torch.cpuSeconds / cpuSeconds, memory: bytes / torch.bytes }),
  })),
)
