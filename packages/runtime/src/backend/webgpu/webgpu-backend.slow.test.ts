import { fileURLToPath } from 'node:url'
import { openWeights } from '@reallm/tensor-io/models'
import { expect, it } from 'vitest'
import { webgpuConformance } from '../../../test/conformance/webgpu.ts'
import { Decoder } from '../../decoder.ts'
import { loadWeights } from '../../load-weights.ts'
import type { GpuProgram } from './program.ts'

await webgpuConformance(['ops', 'layouts'], open => {
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
