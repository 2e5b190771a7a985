// usage: npx tsx --conditions=@reallm/source tools/nightly/soak.ts [share=1] [work] [--record]
// Ten thousand generations, a thousand loads and a thousand training steps (or that share of them): prints what memory is held
// after each tenth, garbage collected, and fails when the second half holds more than the first.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { compress, finetune } from '../../packages/pipeline/src/index.ts'
import { load } from '../../packages/runtime/src/index.ts'
import { packages, startBench } from '../results/record.ts'

const bytes = { unit: 'bytes', scale: 1e-6, digits: 1 }
const record = startBench({
  name: 'soak',
  what: 'What a process holds, garbage collected, while it does the same work over and over.',
  sources: [
    ...packages('tensor-io', 'kernels', 'transformer', 'runtime', 'finetune', 'pipeline'),
    'tools/nightly/soak.ts',
  ],
  columns: {
    work: { label: 'work' },
    times: { label: 'times', unit: 'times' },
    tenth: { label: 'MB held after a tenth', ...bytes },
    half: { label: 'after half', ...bytes },
    end: { label: 'at the end', ...bytes },
  },
  key: ['work'],
  seed: 0,
})
const [part = '1', only] = process.argv.slice(2)
const share = Number(part)
setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

const folder = await mkdtemp(join(tmpdir(), 'reallm-soak-'))
const out = join(folder, 'model')
await compress('npm:@reallm/tiny', {
  ...{ to: out, bits: 3, effort: 'fast', recipe: 'rtn', evaluate: false, threads: 0, backend: 'wasm' },
})
await writeFile(join(folder, 'data.txt'), 'the sea and the whale and the boat. '.repeat(200))

/** Bytes that a process may come to hold between two halves of the same work: caches of the engine. */
const slack = 2 ** 22

/** Runs work so many times, and compares what is held halfway and at the end. */
async function soak(
  what: string,
  times: number,
  work: (sample: (done: number) => Promise<void>) => Promise<void>,
) {
  if (only !== undefined && only !== what) return
  const held: number[] = []
  const every = Math.max(1, Math.round(times / 10))
  await work(async done => {
    if (done % every !== 0) return
    // what is freed later than at once: WebAssembly's memories, and finalisers
    for (let i = 0; i < 3; i++) {
      collect()
      await new Promise(resolve => setImmediate(resolve))
    }
    const { heapUsed, external } = process.memoryUsage()
    held.push(heapUsed + external)
  })
  const [half, end] = [held[held.length >> 1], held.at(-1)!]
  const grown = end > half * 1.02 + slack
  const megabytes = held.map(bytes => (bytes / 1e6).toFixed(1)).join(' ')
  console.log(`${grown ? 'FAULT' : 'ok'} ${times} ${what}: MB held ${megabytes}`)
  if (grown) process.exitCode = 1
  record([{ work: what, times, tenth: held[0], half, end }])
}

const generations = Math.ceil(10_000 * share)
const model = await load(out)
await soak('generations', generations, async sample => {
  for (let i = 1; i <= generations; i++) {
    await model.generate('The whale', { maxTokens: 4, seed: i }).text()
    await sample(i)
  }
})
model.dispose()

const loads = Math.ceil(1000 * share)
await soak('loads', loads, async sample => {
  for (let i = 1; i <= loads; i++) {
    const loaded = await load(out)
    loaded.dispose()
    await sample(i)
  }
})

const steps = Math.ceil(1000 * share)
await soak('training steps', steps, async sample => {
  const pending: Promise<void>[] = []
  await finetune(out, {
    ...{ data: join(folder, 'data.txt'), steps, length: 16, passes: 1000, rows: 1, rank: 2, backend: 'wasm' },
    onProgress: ({ event, done }) => {
      if (event === 'step-end') pending.push(sample(done))
    },
  })
  await Promise.all(pending)
})
await rm(folder, { recursive: true, force: true })
