import { runningEngine, type ScaleKernels, wantsReference } from './engine.ts'
import { type SmallModule, startSmallModule } from './small-module.ts'
import { plain } from './wasm/scales.ts'

let own: SmallModule<ScaleKernels> | undefined

/**
 * What fits scales: the engine that runs already, with its threads, or a module of this kernel alone, whose results are the same, so
 * that rounding to a few levels fetches and compiles little. `undefined` as of `engine`.
 */
export function scalesEngine(): SmallModule<ScaleKernels> | undefined {
  const running = runningEngine()
  if (running || wantsReference()) return running
  own ??= startSmallModule(plain)
  return own
}
