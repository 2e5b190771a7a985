import { type KernelFeatures, plainFeatures } from '@reallm/kernels/webgpu'
import { afterAll, describe, expect, it } from 'vitest'
import { testDevice } from '../../../test/gpu.ts'
import { WebGpuBackend } from './backend.ts'
import { chooseFeatures } from './choose-features.ts'
import { Device } from './device.ts'
import { errorOf } from './known-answer.ts'

const device = await testDevice()
afterAll(() => device?.close())

describe.skipIf(!device)('on the adapter that there is', () => {
  const errorWith = (features: KernelFeatures, cache: 'f16' | 'f32') =>
    errorOf(new WebGpuBackend(device!, { features, cache, batch: 16, owns: false }))

  it('gives the known answer without any feature', async () => {
    expect(await errorWith(plainFeatures, 'f32')).toBeLessThan(1e-5)
  })

  it('gives it with subgroups, of whatever size they are', async () => {
    const { subgroups } = device!.features
    if (subgroups === 0) return
    expect(await errorWith({ ...plainFeatures, subgroups }, 'f32')).toBeLessThan(1e-5)
  })

  it('comes close to it with whole numbers of 8 bits', async () => {
    if (!device!.features.integerDots) return
    const error = await errorWith({ ...plainFeatures, integerDots: true }, 'f32')
    expect(error).toBeGreaterThan(0)
    expect(error).toBeLessThan(2e-2)
  })

  it('uses nothing that the device does not have', async () => {
    const chosen = await chooseFeatures(device!, { layers: 1, tokens: 1 })
    expect([0, device!.features.subgroups]).toContain(chosen.subgroups)
    if (!device!.features.f16) expect(chosen.f16).toBe(false)
    if (!device!.features.integerDots) expect(chosen.integerDots).toBe(false)
  })
})

describe('on a device that says it has all features and computes nothing', () => {
  it('uses none of them', async () => {
    const { create } = await import('webgpu')
    // Held as long as the process runs: Dawn does not survive that its GPU is collected.
    const { idleGpu: gpu } = Object.assign(globalThis, { idleGpu: create(['backend=null']) })
    const adapter = await gpu.requestAdapter()
    const requiredFeatures = ['shader-f16', 'subgroups'] as GPUFeatureName[]
    const made = await adapter!.requestDevice({ requiredFeatures })
    const idle = new Device(made, adapter!.info, gpu.wgslLanguageFeatures)
    expect(idle.features).toMatchObject({ f16: true, integerDots: true })
    expect(await chooseFeatures(idle, { layers: 1, tokens: 1 })).toEqual(plainFeatures)
    idle.close()
  })
})
