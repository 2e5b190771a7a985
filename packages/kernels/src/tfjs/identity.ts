import type { KernelFunction } from './types.ts'

/**
 * `Identity` that shares its values with `x` as a reshape does: gradients keep what they need by it, a model's weights among
 * that. Strings go to `before`.
 */
export const identity =
  (before: KernelFunction): KernelFunction =>
  call => {
    const x = call.inputs.x!
    if (x.dtype === 'string') return before(call)
    call.backend.incRef(x.dataId)
    return { dataId: x.dataId, shape: x.shape, dtype: x.dtype }
  }
