import { afterAll, describe, expect, it } from 'vitest'
import { testDevice } from '../../../test/gpu.ts'
import type { Slot } from '../op.ts'
import { WebGpuBackend } from './backend.ts'
import { Device } from './device.ts'
import type { GpuWeight } from './weight.ts'

const device = await testDevice()
afterAll(() => device?.close())

/** A device that binds so few bytes. */
class NarrowDevice extends Device {
  override readonly bindingBytes: number = 2 ** 14
}

describe.skipIf(!device)('on the adapter that there is', () => {
  it('says that the GPU was lost, and what to do; another one can be opened', async () => {
    const lost = (await testDevice())!
    const backend = new WebGpuBackend(lost)
    lost.gpu.destroy()
    await lost.gpu.lost
    await expect(backend.program([])).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('the GPU was lost'),
      hint: expect.stringMatching(/load the model again.*device: 'wasm'/),
    })
    const again = (await testDevice())!
    expect((await again.buffer(16, GPUBufferUsage.STORAGE, 'a buffer')).size).toBe(16)
    again.close()
  })

  it('names the size of what finds no room, and the CPU', async () => {
    const { maxBufferSize } = device!.gpu.limits
    const before = device!.bytes
    const asked = device!.buffer(maxBufferSize + 4, GPUBufferUsage.STORAGE, 'a piece of the weights')
    await expect(asked).rejects.toMatchObject({
      code: 'bad-option',
      message: expect.stringContaining(`${Math.ceil((maxBufferSize + 4) / 2 ** 20)} MiB`),
      hint: expect.stringContaining("device: 'wasm'"),
    })
    expect(device!.bytes).toBe(before)
  })

  it('splits a matrix that no binding holds, and multiplies by all of it', async () => {
    const gpu = (await testDevice())!
    const narrow = new NarrowDevice(gpu.gpu, { description: 'narrow' } as GPUAdapterInfo)
    const backend = new WebGpuBackend(narrow, { owns: false })
    const [rows, width] = [200, 64]
    const value = (r: number, c: number) => Math.sin(r * width + c)
    const read = async (from: number, to: number) =>
      Float32Array.from({ length: (to - from) * width }, (_, i) =>
        value(from + Math.floor(i / width), i % width),
      )
    const embedding = await backend.weight({ kind: 'floats', shape: [1, width], read }, 'f32')
    const weight = await backend.weight({ kind: 'floats', shape: [rows, width], read }, 'f32')
    expect((weight as GpuWeight).pieces.length).toBeGreaterThan(1)
    const hidden: Slot = { width }
    const head = { from: hidden, norm: undefined, weight, scale: 1, softcap: undefined }
    const program = await backend.program([
      { kind: 'embed', weight: embedding, scale: 1, to: hidden },
      { kind: 'head', ...head },
    ])
    using state = backend.state([])
    const got = await program.logits({ ids: [0], state, length: 1 }, 'last')
    for (let r = 0; r < rows; r++) {
      let want = 0
      for (let c = 0; c < width; c++) want += value(0, c) * value(r, c)
      expect(got[r]).toBeCloseTo(want, 3)
    }
    gpu.close()
  })
})
