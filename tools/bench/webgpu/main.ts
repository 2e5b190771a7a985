// What runs alone on a machine with a GPU: checks, then speed and kernel times; see ../webgpu.ts.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { create, globals } from 'webgpu'
import { openDevice } from '../../../packages/runtime/src/backend/webgpu/adapter.ts'
import { WebGpuBackend } from '../../../packages/runtime/src/backend/webgpu/backend.ts'
import { decoderOps } from '../../../packages/runtime/src/decoder-ops.ts'
import { check } from './check.ts'
import { type KernelTime, measureKernels, measureSpeed, type Speed } from './measure.ts'
import { randomWeights } from './random-weights.ts'
import { type ShapeName, shapeConfig, shapeNames } from './shapes.ts'

/** What was measured of a shape. */
export interface ShapeResult {
  readonly shape: ShapeName
  readonly stateBits: number
  readonly dispatches: number
  readonly dispatchesPerLayer: number
  readonly weightBytes: number
  readonly loadSeconds: number
  readonly compileSeconds: number
  readonly deviceBytes: number
  readonly heapMegabytes: number
  readonly speed: readonly Speed[]
  readonly kernels: readonly KernelTime[] | undefined
}

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: '.' },
    models: { type: 'string' },
    shapes: { type: 'string', default: shapeNames.join() },
    bits: { type: 'string', default: '2.5' },
    states: { type: 'string', default: '10' },
    contexts: { type: 'string', default: '128,1024,4096' },
    tokens: { type: 'string', default: '32' },
    layers: { type: 'string' },
  },
})
const numbers = (list: string) => list.split(',').map(Number)
const results: ShapeResult[] = []
const report: Record<string, unknown> = { results }
mkdirSync(values.out, { recursive: true })
const keep = (name: string, value: unknown) => {
  report[name] = value
  console.log(name, JSON.stringify(value))
  writeFileSync(join(values.out, 'webgpu.json'), `${JSON.stringify(report, null, 2)}\n`)
}

Object.assign(globalThis, globals)
const device = await openDevice(create([]))
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

const attempt = async (name: string, work: () => Promise<unknown>) => {
  try {
    keep(name, await work())
  } catch (error) {
    keep(name, { failed: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}
if (values.models) {
  for (const name of readdirSync(values.models)) {
    for (const cache of ['f32', 'f16'] as const) {
      const backend = new WebGpuBackend(device, { batch: 64, cache })
      await attempt(`check ${name} ${cache}`, () => check(backend, join(values.models!, name), 'f32'))
    }
  }
}
for (const shape of values.shapes.split(',').filter(Boolean) as ShapeName[]) {
  for (const stateBits of numbers(values.states)) {
    await attempt(`${shape} L=${stateBits}`, async () => {
      const backend = new WebGpuBackend(device)
      const config = await shapeConfig(shape, values.layers ? Number(values.layers) : undefined)
      const started = performance.now()
      const weights = await randomWeights(backend, config, { bits: Number(values.bits), stateBits })
      const loaded = performance.now()
      using program = await backend.program(await decoderOps(config, weights))
      const compiled = performance.now()
      const speed = await measureSpeed(
        backend,
        program,
        config,
        numbers(values.contexts),
        Number(values.tokens),
      )
      using state = backend.state(config.layerSpecs.map(({ mixer }) => mixer))
      await program.logits({ ids: [1], state, length: 1 }, 'last')
      const kernels = await measureKernels(backend, program, state, 1)
      const dispatches = await program.dispatches()
      const weightBytes = dispatches.reduce((sum, { traffic }) => sum + traffic.weights, 0)
      const layers = config.layerSpecs.length
      // The head has two: its norm and its product.
      const inLayers = dispatches.length - 2
      const result: ShapeResult = {
        ...{ shape, stateBits, dispatchesPerLayer: Math.ceil(inLayers / layers) },
        ...{ loadSeconds: (loaded - started) / 1000, compileSeconds: (compiled - loaded) / 1000 },
        ...{ dispatches: dispatches.length, weightBytes },
        ...{ deviceBytes: backend.bytes, heapMegabytes: process.memoryUsage().heapUsed / 1e6 },
        ...{ speed, kernels },
      }
      for (const { weight } of weights.modules.values()) weight[Symbol.dispose]()
      weights.embedding[Symbol.dispose]()
      if (weights.head !== weights.embedding) weights.head[Symbol.dispose]()
      results.push(result)
      return result
    })
  }
}
process.exit(0)
