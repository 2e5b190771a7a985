import { ReallmError } from '@reallm/tensor-io'
import type { Adapter, AdapterModule } from '@reallm/tensor-io/models'
import type { Block, DecoderWeights, Projection } from './decoder.ts'
import type { Engine } from './engine.ts'
import type { Linear } from './linear/linear.ts'
import { lowRankLinear } from './linear/low-rank.ts'
import { scaledLinear } from './linear/scaled.ts'

/** Projections of a block by the names that adapters give them. */
const projections = {
  'self_attn.q_proj': 'q',
  'self_attn.k_proj': 'k',
  'self_attn.v_proj': 'v',
  'self_attn.o_proj': 'o',
  'mlp.gate_proj': 'gate',
  'mlp.up_proj': 'up',
  'mlp.down_proj': 'down',
} as const

/** The same weights with an adapter's changes beside them; nothing is copied. */
export function adaptedWeights(engine: Engine, base: DecoderWeights, adapter: Adapter): DecoderWeights {
  const left = new Set(adapter.modules.keys())
  const blocks = base.blocks.map((block, i): Block => {
    const changed: Partial<Record<keyof Block, Projection>> = {}
    for (const [name, key] of Object.entries(projections)) {
      const module = `model.layers.${i}.${name}`
      const change = adapter.modules.get(module)
      if (!change) continue
      left.delete(module)
      changed[key] = { ...block[key], linear: adapted(engine, module, block[key].linear, change) }
    }
    return { ...block, ...changed } as Block
  })
  const [unknown] = left
  if (unknown !== undefined) {
    throw new ReallmError(
      'unsupported',
      `the adapter changes ${unknown}, which is no linear layer of this model`,
    )
  }
  return { ...base, blocks }
}

/** Frees what `adaptedWeights` added. */
export function freeAdapted(weights: DecoderWeights, base: DecoderWeights): void {
  for (const [i, block] of weights.blocks.entries()) {
    for (const key of Object.values(projections)) {
      if (block[key] !== base.blocks[i][key]) block[key].linear.free()
    }
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
  const factors = { rank: a.shape[0], left: b.data, right: a.data }
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
