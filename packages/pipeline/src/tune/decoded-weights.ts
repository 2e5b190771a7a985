import { tensor, toFloat32 } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/transformer'
import type { OpenedModel } from '../open/open-model.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import { builtInRegistry } from '../recipes/registry.ts'

/** What a quantised model decodes to, read like the original's weights. */
export async function decodedWeights(
  { weights, plain }: OpenedModel,
  quantised: QuantisedModel,
): Promise<ModelWeights> {
  const registry = builtInRegistry()
  const modules = new Map(quantised.modules.map(module => [`${module.name}.weight`, module]))
  const norms = await quantised.norms()
  return {
    ...weights,
    async read(name, rows) {
      const module = modules.get(name)
      if (!module) {
        const stored = norms.get(name) ?? plain[name]
        return stored ? tensor('F32', stored.shape, floatsOf(toFloat32(stored))) : weights.read(name, rows)
      }
      const { rows: all, cols, data } = registry.decode(await quantised.matrix(module))
      const [from, to] = rows ?? [0, all]
      return tensor('F32', [to - from, cols], floatsOf(data.slice(from * cols, to * cols)))
    },
  }
}

const floatsOf = (values: Float32Array) => values as Float32Array<ArrayBuffer>
