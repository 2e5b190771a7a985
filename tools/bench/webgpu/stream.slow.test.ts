import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { WebGpuBackend } from '../../../packages/runtime/src/backend/webgpu/backend.ts'
import { testDevice } from '../../../packages/runtime/test/gpu.ts'
import { measureModel } from './model.ts'
import { writeSynthetic } from './synthetic.ts'

const device = await testDevice()
const folder = await mkdtemp(join(tmpdir(), 'reallm-stream-'))
afterAll(async () => {
  device?.close()
  await rm(folder, { recursive: true })
})

const SHARD = 2 ** 26

describe.skipIf(!device)('a layer of a 7B shape, its embedding and its head', () => {
  it('stream into buffers of the GPU with few bytes in memory, and a token reads little more than it has to', async () => {
    await writeSynthetic(folder, '7b', { bits: 2.5, stateBits: 10, layers: 1, maxShardBytes: SHARD })
    const backend = new WebGpuBackend(device!, { owns: false })
    const { load, counts } = await measureModel(backend, '7b', folder, [1, 128, 4096], 0)
    expect(load.deviceBytes).toBeGreaterThan(190e6)
    expect(load.heapBytes).toBeLessThan(300e6)
    expect(load.stagingBytes).toBeLessThan(2 * SHARD)
    for (const { least, weights, cache, vectors } of counts)
      expect((weights + cache + vectors) / least).toBeLessThan(1.15)
  }, 300_000)
})
