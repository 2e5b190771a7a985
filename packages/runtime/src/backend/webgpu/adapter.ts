import { Device } from './device.ts'

const optionalFeatures = ['shader-f16', 'subgroups', 'timestamp-query']
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const

/**
 * A GPU with all that its adapter offers; undefined where there is none. In Node the package `webgpu` has to be installed.
 *
 * @param given where adapters are asked for; default the page's, or Dawn's
 */
export async function openDevice(given?: GPU): Promise<Device | undefined> {
  const gpu = given ?? (typeof navigator !== 'undefined' && navigator.gpu ? navigator.gpu : await nodeGpu())
  const adapter = await gpu?.requestAdapter({ powerPreference: 'high-performance' })
  if (!adapter) return undefined
  const requiredFeatures = optionalFeatures.filter(name => adapter.features.has(name)) as GPUFeatureName[]
  const requiredLimits: Record<string, number> = {}
  for (const name of wantedLimits) requiredLimits[name] = adapter.limits[name]
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits })
  return new Device(device, adapter.info, gpu?.wgslLanguageFeatures)
}

let dawn: Promise<GPU | undefined> | undefined

/** Dawn, where its package is there; one for the process, because it never gives a GPU back. */
function nodeGpu(): Promise<GPU | undefined> {
  dawn ??= (async () => {
    // A name that bundlers for pages do not look for.
    const name: string = 'webgpu'
    try {
      const { create, globals }: typeof import('webgpu') = await import(
        /* @vite-ignore */ /* webpackIgnore: true */ name
      )
      Object.assign(globalThis, globals)
      return create([])
    } catch {
      return undefined
    }
  })()
  return dawn
}
