import { create, globals } from 'webgpu'
import { openDevice } from '../src/backend/webgpu/adapter.ts'
import type { Device } from '../src/backend/webgpu/device.ts'

Object.assign(globalThis, globals)

/**
 * Held as long as the process runs: Dawn does not survive that its GPU is collected. Memory of workgroups begins as it is: zeroing it
 * is most of what a software adapter has to compile, and no kernel counts on it.
 */
const gpu = create(['enable-dawn-features=disable_workgroup_init'])

/** The GPU that there is, or chromium's software adapter; undefined, saying so, without one. */
export async function testDevice(): Promise<Device | undefined> {
  const device = await openDevice(gpu)
  if (!device) console.warn('no WebGPU adapter (chromium brings a software one): these tests are skipped')
  return device
}
