import { type ModelFiles, ReallmError } from '@reallm/tensor-io'
import { readAdapter } from '@reallm/tensor-io/adapter'
import type { AdapterModule } from '@reallm/tensor-io/models'
import type { Backend } from './backend/backend.ts'
import type { Weight } from './backend/weight.ts'
import type { DecoderWeights } from './weights.ts'

/** The same weights with the changes of an opened adapter beside them; nothing is copied. */
export async function adaptedWeights(
  backend: Backend,
  base: DecoderWeights,
  files: ModelFiles,
): Promise<DecoderWeights> {
  const adapter = await readAdapter(files)
  const modules = new Map(base.modules)
  for (const [name, change] of adapter.modules) {
    const module = base.modules.get(name)
    if (!module) {
      throw new ReallmError(
        'unsupported',
        `the adapter changes ${name}, which is no linear layer of this model`,
      )
    }
    checkFactors(name, module.weight, change)
  }
  for (const [name, change] of adapter.modules) {
    const module = base.modules.get(name)!
    modules.set(name, { ...module, weight: await backend.adapted(module.weight, change) })
  }
  return { ...base, modules }
}

/** Gives back what `adaptedWeights` added. */
export function disposeAdapted(weights: DecoderWeights, base: DecoderWeights): void {
  for (const [name, { weight }] of weights.modules) {
    if (weight !== base.modules.get(name)?.weight) weight[Symbol.dispose]()
  }
}

function checkFactors(module: string, { rows, cols }: Weight, { a, b }: AdapterModule): void {
  if (a.shape[1] === cols && b.shape[0] === rows) return
  throw new ReallmError(
    'bad-tensor',
    `${module} [${rows}×${cols}]: the adapter's factors are [${b.shape.join('×')}] and [${a.shape.join('×')}]`,
  )
}
