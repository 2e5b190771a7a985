import type { Activation, GatedMlp } from '@reallm/tensor-io/models'
import { floatWord, type VectorStep } from './stage.ts'

/** The activations of `gate`. */
const gates: Readonly<Record<Activation | 'sigmoid' | 'none', number>> = {
  ...{ silu: 0, gelu_pytorch_tanh: 1, gelu: 2 },
  /** Of the gate alone. */
  sigmoid: 3,
  none: 4,
}

/** The steps of `activation(gate) · up`, after those that load the two. */
export function gateSteps(
  gate: readonly VectorStep[],
  up: readonly VectorStep[],
  size: number,
  { activation, clamp }: { readonly activation: keyof typeof gates } & Partial<Pick<GatedMlp, 'clamp'>>,
): VectorStep[] {
  const product: VectorStep = clamp
    ? { op: 'clampedGate', words: [size, floatWord(clamp.alpha), floatWord(clamp.limit)], size }
    : { op: 'gate', words: [size, gates[activation]], size }
  return [...gate, { op: 'keep', words: [size], size }, ...up, product]
}
