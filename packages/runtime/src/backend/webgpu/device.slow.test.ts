import { type EncodedMatrix, tensor } from '@reallm/tensor-io'
import { afterAll, describe, expect, it } from 'vitest'
import { testDevice } from '../../../test/gpu.ts'
import type { Slot } from '../op.ts'
import type { Weight, WeightSource } from '../weight.ts'
import { WebGpuBackend } from './backend.ts'
import { Device } from './device.ts'
import { trellisOf } from './trial-codes.ts'
import type { GpuWeight } from './weight.ts'

const device = await testDevice()
afterAll(() => device?.close())

/** A device that binds so few bytes, less than 64 rows of what is tested. */
class NarrowDevice extends Device {
  override readonly bindingBytes: number = 2 ** 12
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

  describe('embeddings and heads that no binding holds', () => {
    const [rows, width] = [200, 64]
    const read = async (from: number, to: number) =>
      Float32Array.from({ length: (to - from) * width }, (_, i) => Math.sin(1.3 * (from * width + i)))
    const inner = trellisOf(rows, width, i => Math.imul(i + 1, 0x9e3779b1) >>> 0)
    const stored: EncodedMatrix = {
      ...{ codec: 'rotation', params: { output: false, inner: inner.params }, shape: inner.shape, inner },
      parts: { seed: tensor('U32', [1], Uint32Array.of(7)) },
    }
    const floats: WeightSource = { kind: 'floats', shape: [rows, width], read }

    /** Logits of tokens of the first, middle and last rows, and into how many pieces the weight is split. */
    async function run(on: Device, weightOf: (backend: WebGpuBackend) => Promise<GpuWeight>) {
      const backend = new WebGpuBackend(on, { owns: false, batch: 16 })
      using weight = await weightOf(backend)
      const { rows, cols, pieces } = weight
      const hidden: Slot = { width: cols }
      using program = await backend.program([
        { kind: 'embed', weight, scale: 0.5, to: hidden },
        { kind: 'head', from: hidden, norm: undefined, weight, scale: 1, softcap: undefined },
      ])
      using state = backend.state([])
      const ids = [0, rows - 1, 63, 64, 100, 127, 128]
      const many = await program.logits({ ids, state, length: 8 }, 'all')
      const one = await program.logits({ ids: [70], state, length: 8 }, 'all')
      return { logits: [...many, ...one], pieces: pieces.length }
    }

    it.each<[string, (backend: WebGpuBackend) => Promise<Weight>]>([
      ['floats', backend => backend.weight(floats, 'f32')],
      ['trellis codes behind a rotation', backend => backend.weight({ kind: 'stored', stored }, 'packed')],
      [
        'trellis codes above floats',
        async backend => {
          const above = await backend.weight({ kind: 'stored', stored: inner }, 'packed')
          return stacked(above as GpuWeight, (await backend.weight(floats, 'int8')) as GpuWeight)
        },
      ],
    ])('are split by rows, as %s, and give the same logits', async (_, weightOf) => {
      const { gpu } = device!
      const [wide, narrow] = [new Device(gpu, info), new NarrowDevice(gpu, info)]
      const open = async (backend: WebGpuBackend) => (await weightOf(backend)) as GpuWeight
      const [want, got] = [await run(wide, open), await run(narrow, open)]
      expect(got.pieces).toBeGreaterThan(want.pieces)
      expect(Math.max(...got.logits.map(Math.abs))).toBeGreaterThan(1)
      expect(got.logits).toEqual(want.logits)
    })
  })
})

const info = { description: 'software' } as GPUAdapterInfo

/** One matrix above another. */
const stacked = (above: GpuWeight, below: GpuWeight): GpuWeight => ({
  ...above,
  rows: above.rows + below.rows,
  pieces: [
    ...above.pieces,
    ...below.pieces.map(piece => ({ ...piece, firstRow: above.rows + piece.firstRow })),
  ],
  [Symbol.dispose]() {
    above[Symbol.dispose]()
    below[Symbol.dispose]()
  },
})
