import type { Pointer } from '@reallm/kernels/inference'
import type { NormOp, Slot } from '../op.ts'
import type { Activations, Engine } from './engine.ts'
import { addressOf } from './held.ts'
import type { WasmState } from './state.ts'

/** `tokens` of the tokens at hand from `first` on: after those that the state holds, of a text of `length` positions. */
export interface Part {
  readonly first: number
  readonly tokens: number
  readonly state: WasmState
  readonly length: number
}

/** The tokens at hand, of one text or of several. */
export interface Pass {
  readonly ids: readonly number[]
  readonly tokens: number
  readonly parts: readonly Part[]
}

/** A compiled op; one that takes long pauses within, and returns when it will have ended. */
export type Step = (pass: Pass) => void | Promise<void>

/** What ops are compiled with: the engine, and the activations of each slot. */
export interface Compiler {
  readonly engine: Engine
  activations(slot: Slot): Activations
}

/** `y = norm(x)`, over `floats` in all; `y` may be `x`. */
export function normalise(
  { kernels }: Engine,
  { weight, eps }: NormOp,
  x: Pointer,
  y: Pointer,
  floats: number,
): void {
  kernels.rmsNorm(x, addressOf(weight), y, floats / weight.length, weight.length, eps)
}
