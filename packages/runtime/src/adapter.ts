import { type ModelFiles, ReallmError, toMatrix } from '@reallm/tensor-io'
import { readAdapter } from '@reallm/tensor-io/adapter'
import type { AdapterModule } from '@reallm/tensor-io/models'
import type { Engine } from './engine.ts'
import type { Linear } from './linear/linear.ts'
import { lowRankLinear } from './linear/low-rank-linear.ts'
import { scaledLinear } from './linear/scaled-linear.ts'
import type { DecoderWeights } from './weights.ts'

/** The same weights with the changes of an opened adapter beside them; nothing is copied. */
export async function adaptedWeights(
  engine: Engine,
  base: DecoderWeights,
  files: ModelFiles,
): Promise<DecoderWeights> {
  const adapter = await readAdapter(files)
  const modules = new Map(base.modules)
  for (const name of adapter.modules.keys()) {
    if (base.modules.has(name)) continue
    throw new ReallmError(
      'unsupported',
      `the adapter changes ${name}, which is no linear layer of this model`,
    )
  }
  for (const [name, change] of adapter.modules) {
    const module = base.modules.get(name)!
    modules.set(name, { ...module, linear: adapted(engine, name, module.linear, change) })
  }
  return { ...base, modules }
}

/** Frees what `adaptedWeights` added. */
export function freeAdapted(weights: DecoderWeights, base: DecoderWeights): void {
  for (const [name, module] of weights.modules) {
    if (module !== base.modules.get(name)) module.linear.free()
  }
}

function adapted(engine: Engine, module: string, linear: Linear, change: AdapterModule): Linear {
  const { rows, cols } = linear
  const { a, b, scaling, magnitude } = change
  if (a.shape[1] !== cols || b.shape[0] !== rows) {
    throw new ReallmError(
      'bad-tensor',
      `${module} [${rows}×${cols}]: the adapter's factors are [${b.shape.join('×')}] and [${a.shape.join('×')}]`,
    )
  }
  const kept = { ...linear, free() {} }
  const factors = { left: toMatrix(b), right: toMatrix(a) }
  const sum = lowRankLinear(engine, kept, [rows, cols], factors, scaling)
  if (!magnitude) return sum
  const ratios = magnitude.data.map((m, r) => m / rowNorm(engine, sum, r))
  return scaledLinear(engine, sum, { rows: engine.upload(ratios) })
}

function rowNorm(engine: Engine, linear: Linear, row: number): number {
  const { at } = engine.scratch('row', linear.cols)
  linear.row(row, at, 1)
  return Math.hypot(...engine.arena.floats(at, linear.cols))
}
