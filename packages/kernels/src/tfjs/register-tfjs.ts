import { batchMatMul, fusedMatMul } from './batch-matmul.ts'
import { conv2DBackpropFilter, unsortedSegmentSum } from './gradients.ts'
import { identity } from './identity.ts'
import type { KernelFunction, TfLibrary } from './types.ts'

const BACKEND = 'wasm'
const registered = new WeakSet<TfLibrary>()

/**
 * Makes TensorFlow.js's wasm backend multiply matrices with the kernels of this package (its own are slow when an operand is
 * transposed), makes copies share their values, and adds the gradients it lacks: `Conv2DBackpropFilter` and `UnsortedSegmentSum`.
 * Call it once the backend is set; a second call does nothing.
 *
 * @param tf the `tf` object, `@tensorflow/tfjs-backend-wasm` imported
 * @returns the names of the kernels that were replaced or added
 * @example
 * await tf.setBackend('wasm')
 * registerTfjs(tf)
 */
export function registerTfjs(tf: TfLibrary): string[] {
  if (registered.has(tf)) return []
  registered.add(tf)
  const names: string[] = []
  const register = (kernelName: string, kernelFunc: KernelFunction) => {
    tf.registerKernel({ kernelName, backendName: BACKEND, kernelFunc })
    names.push(kernelName)
  }
  for (const [name, replace] of [
    ['BatchMatMul', batchMatMul],
    ['_FusedMatMul', fusedMatMul],
    ['Identity', identity],
  ] as const) {
    const before = tf.getKernel(name, BACKEND)
    if (!before) continue
    tf.unregisterKernel(name, BACKEND)
    register(name, replace(before.kernelFunc as KernelFunction))
  }
  for (const [name, kernel] of [
    ['Conv2DBackpropFilter', conv2DBackpropFilter],
    ['UnsortedSegmentSum', unsortedSegmentSum],
  ] as const) {
    if (!tf.getKernel(name, BACKEND)) register(name, kernel)
  }
  return names
}
