// A few steps of fine-tuning the compressed embedded model on one of TensorFlow.js's backends, in a process of its own:
//
//   steps.ts BACKEND COMPRESSED ORIGINAL STEPS LENGTH OUT
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { finetuneArtifact } from '../../../packages/finetune/src/index.ts'
import { builtInRegistry } from '../../../packages/pipeline/src/index.ts'
import { type BackendName, openWeights, useBackend } from '../../../packages/transformer/src/index.ts'

/** Losses of the steps, and CPU seconds of each after the first, which compiles kernels. */
export interface Steps {
  readonly losses: readonly number[]
  readonly cpuSeconds: number
  readonly adapter: string
}

const [backend, compressed, original, steps, length, out] = process.argv.slice(2)
let adapter = ''
if (backend === 'webgpu') {
  const { create, globals } = await import('webgpu')
  const gpu = create([])
  Object.assign(globalThis, globals)
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true })
  const { vendor, architecture, description } = (await gpu.requestAdapter())!.info
  adapter = [vendor, architecture, description].filter(Boolean).join(' ')
}
await useBackend(backend as BackendName)
const registry = builtInRegistry()
const [model, teacher] = await Promise.all([compressed, original].map(at => openWeights(at, { registry })))
const losses: number[] = []
let cpu = process.cpuUsage()
await finetuneArtifact({
  ...{
    model,
    teacher,
    data: { name: 'text', contents: readFileSync(join(original, 'held-out.txt'), 'utf8') },
  },
  ...{ steps: Number(steps), rows: 1, length: Number(length), validation: 0 },
  ...{ rank: 4, norms: true, learningRate: 4e-3 },
  onProgress: ({ event, error }) => {
    if (event !== 'step-end') return
    losses.push(error!)
    if (losses.length === 1) cpu = process.cpuUsage()
  },
})
const { user, system } = process.cpuUsage(cpu)
const report: Steps = { losses, cpuSeconds: (user + system) / 1e6 / (losses.length - 1), adapter }
writeFileSync(out, JSON.stringify(report))
// Dawn does not survive that its GPU is collected.
process.exit()
