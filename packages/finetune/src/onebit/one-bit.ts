import { type EncodedMatrix, toMatrix } from '@reallm/tensor-io'
import { linear, linearModules, type ModelWeights, type TfTensor, tf, valuesOf } from '@reallm/transformer'
import { type TfVariable, toTensor } from '@reallm/transformer/adamw'
import type { Tunable } from '../lowrank/forward.ts'
import { signs } from '../qat/straight-through.ts'
import { storeSigns } from './codec.ts'
import { svid } from './svid.ts'

/** A OneBit model in training: signs with a scale for each row and column. */
export interface OneBit extends Tunable {
  /** The trained signs and vectors of every linear layer, as the codec `onebit` stores them. */
  encoded(): Promise<Map<string, EncodedMatrix<object>>>
  dispose(): void
}

/**
 * Every linear layer of the blocks on one bit per weight, `y = ((x ⊙ b) sign(W)ᵀ) ⊙ a` (OneBit, arXiv 2402.11295), from
 * the SVID of the original. Signs (by straight-through gradients) and both vectors are trained; norms are part of `b`.
 * Distil from the original with `tuneEndToEnd({ teacher, … })`.
 *
 * @example
 * const parts = await oneBit(model)
 * await tuneEndToEnd({ config, base, parts, sequences, teacher: model, steps: 500 })
 * const stored = await parts.encoded()
 */
export async function oneBit(model: ModelWeights): Promise<OneBit> {
  const parameters = new Map<string, TfVariable>()
  const blockOf = new Map<string, number>()
  /** `a` and `b` of the SVID. */
  const first = new Map<string, { readonly a: TfTensor; readonly b: TfTensor }>()
  const add = (name: string, block: number, value: () => TfTensor) => {
    parameters.set(
      name,
      tf.tidy(() => tf.variable(value())),
    )
    blockOf.set(name, block)
  }

  for (let block = 0; block < model.config.layers; block++) {
    for (const { name, shape } of linearModules(model.config, block)) {
      const w = toMatrix(await model.read(`${name}.weight`))
      const { a, b } = svid(w)
      first.set(name, { a: tf.tensor1d(a), b: tf.tensor1d(b) })
      // all in units of the SVID, so that one learning rate fits every row and column
      const relative = w.data.map((v, i) => v / (a[Math.floor(i / w.cols)] * b[i % w.cols] || 1))
      add(`${name}.latent`, block, () => tf.tensor2d(relative, [...shape]))
      add(`${name}.a`, block, () => tf.ones([w.rows]))
      add(`${name}.b`, block, () => tf.ones([w.cols]))
    }
  }

  const vector = (name: string, part: 'a' | 'b', values: Readonly<Record<string, TfTensor>>) =>
    first.get(name)![part].mul(values[`${name}.${part}`])

  async function encoded() {
    const values = Object.fromEntries(parameters)
    const result = new Map<string, EncodedMatrix<object>>()
    for (const name of first.keys()) {
      const [a, b] = (['a', 'b'] as const).map(part => valuesOf(() => vector(name, part, values)).slice())
      result.set(name, storeSigns(toMatrix(await toTensor(parameters.get(`${name}.latent`)!)), { a, b }))
    }
    return result
  }

  return {
    parameters,
    ofHead: [],
    ofBlock: i => [...blockOf].filter(([, block]) => block === i).map(([name]) => name),
    apply: (values, base) => ({
      weights: { ...base, ...values },
      hooks: {
        linear(name, x, plain) {
          const w = values[`${name}.latent`]
          if (!w) return plain()
          return linear(x.mul(vector(name, 'b', values)), signs(w)).mul(vector(name, 'a', values))
        },
      },
    }),
    encoded,
    dispose: () => tf.dispose([[...parameters.values()], [...first.values()]]),
  }
}
