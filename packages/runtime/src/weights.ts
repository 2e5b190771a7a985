import type { Pointer } from '@reallm/kernels/inference'
import type { LinearModule, Norm, Projection } from '@reallm/tensor-io/models'
import { type Activations, BATCH, type Engine } from './engine.ts'
import type { Linear } from './linear/linear.ts'

/** A linear layer and its bias. */
export interface LoadedModule {
  readonly linear: Linear
  readonly bias?: Pointer
}

/** A model's weights in an engine's memory, those of the layers by name. */
export interface DecoderWeights {
  readonly embedding: Linear
  /** The embedding itself when they are tied. */
  readonly head: Linear
  readonly modules: ReadonlyMap<string, LoadedModule>
  /** Factors of each norm, its offset added. */
  readonly norms: ReadonlyMap<string, Pointer>
}

/** `y = x Wᵀ + bias`, `[tokens, out]`, or `y += …`. */
export function project(
  { kernels }: Engine,
  { modules }: DecoderWeights,
  { name }: LinearModule,
  x: Activations,
  y: Pointer,
  tokens: number,
  accumulate = false,
): void {
  const { linear, bias } = modules.get(name)!
  linear.apply(x, y, linear.rows, tokens, accumulate)
  if (bias !== undefined) kernels.addBias(y, bias, tokens, linear.rows)
}

/** Projections of one input, each to its own `[tokens, rows]`; what is fused is computed once and taken apart. */
export function projectAll(
  engine: Engine,
  weights: DecoderWeights,
  wanted: readonly { readonly of: Projection; readonly to: Pointer }[],
  x: Activations,
  tokens: number,
): void {
  let fused: LinearModule | undefined
  let product = 0
  for (const { of, to } of wanted) {
    const [out] = of.module.shape
    const rows = of.to - of.from
    if (rows === out) {
      project(engine, weights, of.module, x, to, tokens)
      continue
    }
    if (fused?.name !== of.module.name) {
      fused = of.module
      product = engine.scratchBytes('fused projections', 4 * BATCH * out)
      project(engine, weights, fused, x, product, tokens)
    }
    for (let t = 0; t < tokens; t++) {
      engine.kernels.copy(to + 4 * t * rows, product + 4 * (t * out + of.from), rows)
    }
  }
}

/** `y = norm(x)`, over rows of `width` floats in all; `y` may be `x`. */
export function normalise(
  { kernels }: Engine,
  { norms }: DecoderWeights,
  { name, width, eps }: Norm,
  x: Pointer,
  y: Pointer,
  floats: number,
): void {
  kernels.rmsNorm(x, norms.get(name)!, y, floats / width, width, eps)
}
