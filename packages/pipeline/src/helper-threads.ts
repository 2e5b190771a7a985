import { createPool } from '@reallm/kernels'
import { ReallmError } from '@reallm/tensor-io'
import { activeBackend } from '@reallm/transformer'

/**
 * Lets this thread's matrix products run on several, where the WebAssembly backend computes: others have threads of their own. Results
 * are the same. Where a pool of threads is open already, it serves this work too, as long as it is open.
 *
 * @returns what ends the helpers
 */
export async function helperThreads(threads: number): Promise<{ close(): Promise<void> }> {
  const pool = activeBackend()?.name === 'wasm' ? await openPool(threads) : undefined
  return { close: async () => pool?.close() }
}

async function openPool(threads: number) {
  try {
    return await createPool({ threads })
  } catch (cause) {
    if (cause instanceof ReallmError && cause.code === 'bad-option') return undefined
    throw cause
  }
}
