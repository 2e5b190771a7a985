// Steps per second and bytes of a training loop with LoRA of rank 8 on a model of SmolLM2-135M's shapes (random weights,
// 384 tokens, next-token loss, AdamW with clipping), on one thread: ours on each backend against the same loop in PyTorch.
//
//   npx tsx --conditions=@reallm/source tools/bench/finetune.ts [--python env/bin/python] [--only native,wasm,torch]
//     [--steps 5] [--tokens 384] [--layers 30]
//
// PyTorch runs when a Python that has it is given. One process after the other; CPU time is all threads'.
import { spawn } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    only: { type: 'string', default: 'native,wasm,torch' },
    steps: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '384' },
    layers: { type: 'string', default: '30' },
  },
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
console.table(
  Object.fromEntries(
    Object.entries(measured).map(([name, { seconds, cpuSeconds, bytes, losses }]) => [
      name,
      {
        'steps/s': Number((1 / seconds).toFixed(3)),
        'steps/CPU s': Number((1 / cpuSeconds).toFixed(3)),
        'peak memory, MB': Math.round(bytes / 1e6),
        'last loss': Number(losses.at(-1)!.toFixed(3)),
        ...(torch && {
          'speed, of PyTorch (CPU time)': Number((torch.cpuSeconds / cpuSeconds).toFixed(2)),
          'memory, of PyTorch': Number((bytes / torch.bytes).toFixed(2)),
        }),
      },
    ]),
  ),
)
