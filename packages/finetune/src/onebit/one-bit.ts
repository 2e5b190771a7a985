import { createArtifactWriter, type EncodedMatrix, toMatrix } from '@reallm/tensor-io'
import {
  blockTensors,
  linear,
  linearModules,
  type ModelWeights,
  type TfTensor,
  tf,
} from '@reallm/transformer'
import { type TfVariable, toTensor } from '../adamw.ts'
import type { Tunable } from '../lowrank/forward.ts'
import { signs } from '../qat/straight-through.ts'
import { storeSigns } from './codec.ts'
import { svid } from './svid.ts'

export interface OneBit extends Tunable {
  /** The trained signs and vectors of every linear layer, as the codec `onebit` stores them. */
  encoded(): Promise<Map<string, EncodedMatrix<object>>>
  /** Writes a 1-bit artifact: trained matrices and norms, everything else as the original has it. */
  save(directory: string, report?: unknown, card?: string): Promise<void>
  dispose(): void
}

/**
 * Every linear layer of the blocks on one bit per weight, `y = ((x ⊙ b) sign(W)ᵀ) ⊙ a` (OneBit, arXiv 2402.11295), from
 * the SVID of the original. Signs (by straight-through gradients), both vectors and the norms are trained; distil from
 * the original with `tuneEndToEnd({ teacher, … })`.
 *
 * @example
 * const parts = await oneBit(model)
 * await tuneEndToEnd({ config, base, parts, windows, teacher: model, steps: 500 })
 * await parts.save('out-1bit')
 */
export async function oneBit(model: ModelWeights): Promise<OneBit> {
  const parameters = new Map<string, TfVariable>()
  const blockOf = new Map<string, number>()
  const modules = new Map<string, readonly [number, number]>()
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
      modules.set(name, shape)
      // in units of the rank-1 magnitudes, so that one learning rate fits every row and column
      const relative = w.data.map((v, i) => v / (a[Math.floor(i / w.cols)] * b[i % w.cols] || 1))
      add(`${name}.latent`, block, () => tf.tensor2d(relative, [...shape]))
      add(`${name}.a`, block, () => tf.tensor1d(a))
      add(`${name}.b`, block, () => tf.tensor1d(b))
    }
    for (const name of blockTensors(model.config, block).keys()) {
      if (!/norm\.weight$/.test(name)) continue
      const { data, shape } = await model.read(name)
      add(name, block, () => tf.tensor(data, [...shape]))
    }
  }

  async function encoded() {
    const result = new Map<string, EncodedMatrix<object>>()
    for (const name of modules.keys()) {
      const [w, a, b] = await Promise.all(
        ['latent', 'a', 'b'].map(part => toTensor(parameters.get(`${name}.${part}`)!)),
      )
      result.set(name, storeSigns(toMatrix(w), { a: a.data, b: b.data }))
    }
    return result
  }

  return {
    parameters,
    outer: [],
    ofBlock: i => [...blockOf].filter(([, block]) => block === i).map(([name]) => name),
    apply: (values, base) => ({
      weights: { ...base, ...values },
      hooks: {
        linear(name, x, plain) {
          const w = values[`${name}.latent`]
          if (!w) return plain()
          return linear(x.mul(values[`${name}.b`]), signs(w)).mul(values[`${name}.a`])
        },
      },
    }),
    encoded,
    async save(directory, report, card) {
      const { files } = model
      const writer = await createArtifactWriter(directory, { config: model.config.source, filesOf: files })
      try {
        for (const [name, e] of await encoded()) await writer.addMatrix(name, e)
        for (const name of model.names) {
          if (modules.has(name.replace(/\.weight$/, ''))) continue
          const trained = parameters.get(name)
          await writer.addTensor(name, trained ? await toTensor(trained) : await model.read(name))
        }
        await writer.finish(report, card)
      } catch (cause) {
        await writer.abort()
        throw cause
      }
    },
    dispose: () => tf.dispose([...parameters.values()]),
  }
}
