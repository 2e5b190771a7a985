import {
  block,
  embed,
  head,
  type TfTensor,
  type TransformerConfig,
  tf,
  type Weights,
} from '@reallm/transformer'
import type { Trainable } from './trainable.ts'

/** What a forward pass needs of trained parts, however they are made. */
export type Tunable = Pick<Trainable, 'parameters' | 'ofBlock' | 'ofHead' | 'apply'>

/** Block `i` with the trained parts in place, `[batch, positions, hidden]` → the same. Differentiable in both. */
export function tunedBlock(
  config: TransformerConfig,
  base: Weights,
  parts: Tunable,
  i: number,
  x: TfTensor,
): TfTensor {
  const { hooks, weights } = parts.apply(valuesOf(parts, parts.ofBlock(i)), base)
  return block(config, weights, i, x, hooks)
}

/**
 * The same with gradient checkpointing: keeps the block's input only and computes the block once more on the way back,
 * so that training holds the inside of one block at a time.
 */
export function checkpointedBlock(
  config: TransformerConfig,
  base: Weights,
  parts: Tunable,
  i: number,
  x: TfTensor,
): TfTensor {
  const names = parts.ofBlock(i)
  const run = (input: TfTensor, ...values: TfTensor[]) => {
    const byName = Object.fromEntries(names.map((name, k) => [name, values[k]]))
    const { hooks, weights } = parts.apply(byName, base)
    return block(config, weights, i, input, hooks)
  }
  const inputs = [x, ...names.map(name => parts.parameters.get(name)! as TfTensor)]
  const op = tf.customGrad((...given: unknown[]) => {
    const save = given.pop() as (tensors: TfTensor[]) => void
    const tensors = given as TfTensor[]
    save(tensors)
    return {
      value: run(...(tensors as [TfTensor, ...TfTensor[]])),
      gradFunc: (dy: TfTensor, saved: TfTensor[]) => nestedGrads(run, saved, dy),
    }
  })
  return op(...inputs)
}

/**
 * `tf.grads` in the middle of another backward pass, whose tape tfjs would drop; zeros for what `f` does not depend on, such
 * as experts that nothing reaches.
 */
function nestedGrads(
  f: (...x: [TfTensor, ...TfTensor[]]) => TfTensor,
  x: TfTensor[],
  dy: TfTensor,
): TfTensor[] {
  const { state } = tf.engine()
  const outer = state.activeTape
  try {
    return tf.tidy(() => {
      const run = () => f(...(x as [TfTensor, ...TfTensor[]]))
      const { grads } = tf.engine().gradients(run, x, dy)
      return grads.map((g: TfTensor | null, k) => g ?? tf.zerosLike(x[k]))
    })
  } finally {
    state.activeTape = outer
  }
}

/** Options of a forward pass from or to hidden states. */
export interface StatesOptions {
  /** Gradient checkpointing, see `checkpointedBlock`. */
  readonly checkpointing?: boolean | undefined
  /** Gets the hidden states after block `i`. */
  onBlock?(i: number, x: TfTensor): void
}

/**
 * The hidden states after the last block, `[batch, positions, hidden]`, of ids `[batch, positions]`. Call it inside `tf.tidy`.
 */
export function tunedStates(
  config: TransformerConfig,
  base: Weights,
  parts: Tunable,
  ids: TfTensor,
  { checkpointing = false, onBlock }: StatesOptions = {},
): TfTensor {
  const run = checkpointing ? checkpointedBlock : tunedBlock
  let x = embed(config, base, ids)
  for (let i = 0; i < config.layers; i++) {
    x = run(config, base, parts, i, x)
    onBlock?.(i, x)
  }
  return x
}

/** Weights of the last norm and the head, trained where the parts say so. */
export const tunedHead = (base: Weights, parts: Tunable): Weights =>
  parts.apply(valuesOf(parts, parts.ofHead), base).weights

/** Logits `[batch · positions, vocabulary]` of ids `[batch, positions]` with the trained parts in place. */
export function tunedLogits(
  config: TransformerConfig,
  base: Weights,
  parts: Tunable,
  ids: TfTensor,
): TfTensor {
  return tf.tidy(() => {
    const states = tunedStates(config, base, parts, ids)
    return head(config, tunedHead(base, parts), states).reshape([-1, config.vocabSize])
  })
}

const valuesOf = (parts: Tunable, names: readonly string[]): Weights =>
  Object.fromEntries(names.map(name => [name, parts.parameters.get(name)!]))
