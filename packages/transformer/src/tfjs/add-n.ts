import type * as TfCore from '@tensorflow/tfjs-core'

type Tf = Pick<typeof TfCore, 'addN' | 'getKernel' | 'registerKernel' | 'tidy' | 'unregisterKernel'>

/** What a kernel adds at a time: a WebGPU device binds eight buffers at least, one of which is the result. */
const MOST = 7
const done = new WeakSet<Tf>()

/**
 * Lets the WebGPU backend add any number of tensors: its own `AddN` binds all of them at once, and beyond what the device binds it
 * computes nothing and reports that nowhere but in the console.
 */
export function splitAddN(tf: Tf): void {
  const own = tf.getKernel('AddN', 'webgpu')
  if (!own || done.has(tf)) return
  done.add(tf)
  tf.unregisterKernel('AddN', 'webgpu')
  tf.registerKernel({
    ...own,
    kernelFunc: call => {
      const terms = Object.values(call.inputs) as TfCore.Tensor[]
      if (terms.length <= MOST) return own.kernelFunc(call)
      return tf.tidy(() => tf.addN([tf.addN(terms.slice(0, MOST)), ...terms.slice(MOST)]))
    },
  })
}
