// What runs alone on a machine with a GPU: checks, then counts, speed and kernel times; see ../webgpu.ts.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { create, globals } from 'webgpu'
import { openDevice } from '../../../packages/runtime/src/backend/webgpu/adapter.ts'
import { WebGpuBackend } from '../../../packages/runtime/src/backend/webgpu/backend.ts'
import { check } from './check.ts'
import { type ModelResult, measureModel } from './model.ts'
import { type ShapeName, shapeNames } from './shapes.ts'
import { writeSynthetic } from './synthetic.ts'

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: '.' },
    models: { type: 'string' },
    artifacts: { type: 'string', default: '' },
    shapes: { type: 'string', default: shapeNames.join() },
    bits: { type: 'string', default: '2.5' },
    states: { type: 'string', default: '10' },
    contexts: { type: 'string', default: '128,1024,4096' },
    tokens: { type: 'string', default: '32' },
    layers: { type: 'string' },
  },
})
const list = (text: string) => text.split(',').filter(Boolean)
const contexts = list(values.contexts).map(Number)
const results: ModelResult[] = []
const report: Record<string, unknown> = { results }
mkdirSync(values.out, { recursive: true })
const keep = (name: string, value: unknown) => {
  report[name] = value
  console.log(name, JSON.stringify(value))
  writeFileSync(join(values.out, 'webgpu.json'), `${JSON.stringify(report, null, 2)}\n`)
}

Object.assign(globalThis, globals)
// Held as long as the process runs: Dawn does not survive that its GPU is collected.
const { gpu } = Object.assign(globalThis, { gpu: create([]) })
const device = await openDevice(gpu)
if (!device) {
  console.error('no WebGPU adapter was found')
  process.exit(2)
}
device.gpu.onuncapturederror = event =>
  keep(`error ${Object.keys(report).length}`, event.error.message.slice(0, 1000))
const { limits, features } = device.gpu
keep('adapter', { description: device.description, features: [...features], isSoftware: device.isSoftware })
keep('limits', {
  binding: limits.maxStorageBufferBindingSize,
  workgroup: limits.maxComputeWorkgroupStorageSize,
  invocations: limits.maxComputeInvocationsPerWorkgroup,
  storageBuffers: limits.maxStorageBuffersPerShaderStage,
})

let failed = 0
const attempt = async (name: string, work: () => Promise<unknown>) => {
  try {
    keep(name, await work())
  } catch (error) {
    failed++
    keep(name, { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}
if (values.models) {
  for (const name of readdirSync(values.models)) {
    for (const cache of ['f32', 'f16'] as const) {
      const backend = new WebGpuBackend(device, { batch: 64, cache, owns: false })
      await attempt(`check ${name} ${cache}`, () => check(backend, join(values.models!, name), 'f32'))
    }
  }
}
const measure = async (name: string, where: string) =>
  attempt(name, async () => {
    const backend = new WebGpuBackend(device, { owns: false })
    const result = await measureModel(backend, name, where, contexts, Number(values.tokens))
    results.push(result)
    return result
  })
for (const where of list(values.artifacts)) await measure(basename(where), where)
for (const shape of list(values.shapes) as ShapeName[]) {
  for (const stateBits of list(values.states).map(Number)) {
    const folder = mkdtempSync(join(tmpdir(), 'reallm-synthetic-'))
    const layers = values.layers ? Number(values.layers) : undefined
    await writeSynthetic(folder, shape, { bits: Number(values.bits), stateBits, layers })
    await measure(`${shape} shape, ${values.bits} bits, L = ${stateBits}`, folder)
    rmSync(folder, { recursive: true })
  }
}
process.exit(failed === 0 ? 0 : 1)
