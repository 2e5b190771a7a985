import { afterAll, describe, vi } from 'vitest'
import { WebGpuBackend } from '../../src/backend/webgpu/backend.ts'
import { testDevice } from '../gpu.ts'
import { backendConformance, type ConformanceOptions } from './index.ts'

/** Parts of the conformance suite on the adapter that there is, and what `more` tests there; skipped, saying so, without one. */
export async function webgpuConformance(
  parts: NonNullable<ConformanceOptions['parts']>,
  more?: (open: () => WebGpuBackend) => void,
): Promise<void> {
  // A software adapter on a busy machine.
  vi.setConfig({ testTimeout: 300_000 })
  const device = await testDevice()
  afterAll(() => device?.close())
  const open = () => new WebGpuBackend(device!, { batch: 16, cache: 'f32', owns: false })

  describe.skipIf(!device)('on the adapter that there is', () => {
    backendConformance('webgpu', async () => open(), {
      ...{ exact: 'f32', tolerance: 1e-3, parts },
      forms: { f32: 1e-4, packed: 1e-3, expanded: 1e-3 },
      blocks: { packed: 1e-2 },
    })
    more?.(open)
  })
}
