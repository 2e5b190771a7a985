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

/**
 * A projection of `x` to `y`, `[tokens, rows]`. What is fused is computed once for all of its projections and taken apart:
 * `before` is the projection of the same input that was computed last.
 */
export function projectPart(
  engine: Engine,
  weights: DecoderWeights,
  { module, from, to }: Projection,
  x: Activations,
  y: Pointer,
  tokens: number,
  before?: Projection,
): void {
  const [out] = module.shape
  const rows = to - from
  if (rows === out) {
    project(engine, weights, module, x, y, tokens)
    return
  }
  const product = engine.scratchBytes('fused projections', 4 * BATCH * out)
  if (before?.module.name !== module.name) project(engine, weights, module, x, product, tokens)
  for (let t = 0; t < tokens; t++) {
    engine.kernels.copy(y + 4 * t * rows, product + 4 * (t * out + from), rows)
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
