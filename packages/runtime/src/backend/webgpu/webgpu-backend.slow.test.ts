import { fileURLToPath } from 'node:url'
import { openWeights } from '@reallm/tensor-io/models'
import { afterAll, describe, expect, it } from 'vitest'
import { backendConformance } from '../../../test/conformance/index.ts'
import { Decoder } from '../../decoder.ts'
import { loadWeights } from '../../load-weights.ts'
import { openDevice } from './adapter.ts'
import { WebGpuBackend } from './backend.ts'
import type { GpuProgram } from './program.ts'

const device = await openDevice()
if (!device) console.warn('no WebGPU adapter (chromium brings a software one): these tests are skipped')
afterAll(() => device?.close())
const open = () => new WebGpuBackend(device!, { batch: 16, cache: 'f32', owns: false })

describe.skipIf(!device)('on the adapter that there is', () => {
  backendConformance('webgpu', async () => open(), {
    ...{ exact: 'f32', tolerance: 1e-3, allLayers: false },
    forms: { f32: 1e-4, packed: 1e-3, expanded: 1e-3 },
    packedBlocks: 1e-2,
  })

  it('takes ten dispatches a layer', async () => {
    const backend = open()
    const source = await openWeights(fileURLToPath(new URL('../../../../tiny/model', import.meta.url)))
    const weights = await loadWeights(backend, source, { form: 'int8' })
    const { program } = await Decoder.create(backend, source.config, weights)
    const dispatches = await (program as GpuProgram).dispatches()
    expect(dispatches.length).toBe(10 * source.config.layerSpecs.length + 2)
    await source.close()
  })
})
