import { ReallmError } from '@reallm/tensor-io'
import type { LinearModule, Norm, Projection } from '@reallm/tensor-io/models'
import type { KvCache } from './kv-cache.ts'
import { linear, rmsNorm } from './ops.ts'
import type { TfTensor } from './tf.ts'

/** Weights under their Hugging Face names: those of the functions that are called have to be there. */
export type Weights = Readonly<Record<string, TfTensor>>

/** Ways into the forward pass, by module name (`model.layers.0.self_attn.q_proj`, …, `lm_head`). */
export interface Hooks {
  /** Sees what goes into each linear layer, `[batch, positions, in]`; the tensor lives for the call only. */
  onInput?(module: string, x: TfTensor): void
  /** Computes a linear layer in place of `base()`, which is `x Wᵀ`; a bias is added afterwards. */
  linear?(module: string, x: TfTensor, base: () => TfTensor): TfTensor
}

/** Options of a forward pass. */
export interface ForwardOptions extends Hooks {
  /** Computes no expert except the one that this linear layer belongs to: for a look at what reaches it. */
  readonly only?: string | undefined
  /** What layers keep of what came before; what comes now is added. */
  readonly cache?: KvCache | undefined
}

/** One linear layer, by way of the hooks. */
export function project(
  weights: Weights,
  { name, bias }: Pick<LinearModule, 'name' | 'bias'>,
  x: TfTensor,
  hooks: Hooks,
  stored = `${name}.weight`,
): TfTensor {
  hooks.onInput?.(name, x)
  const base = () => linear(x, weightOf(weights, stored))
  const y = hooks.linear ? hooks.linear(name, x, base) : base()
  return bias ? y.add(weightOf(weights, `${name}.bias`)) : y
}

/** Projections of one input; those that share a matrix are cut out of its product. */
export function projectAll(
  weights: Weights,
  projections: readonly Projection[],
  x: TfTensor,
  hooks: Hooks,
): TfTensor[] {
  const products = new Map<string, TfTensor>()
  return projections.map(({ module, from, to }) => {
    const y = products.get(module.name) ?? project(weights, module, x, hooks)
    products.set(module.name, y)
    if (to - from === module.shape[0]) return y
    return y.slice([0, 0, from], [y.shape[0], y.shape[1]!, to - from])
  })
}

/** RMS norm over the last axis. */
export function normalise(weights: Weights, { name, eps, offset }: Norm, x: TfTensor): TfTensor {
  const weight = weightOf(weights, `${name}.weight`)
  return rmsNorm(x, offset ? weight.add(offset) : weight, eps)
}

export function weightOf(weights: Weights, name: string): TfTensor {
  const weight = weights[name]
  if (!weight) throw new ReallmError('not-found', `the forward pass needs ${name}, which was not given`)
  return weight
}
