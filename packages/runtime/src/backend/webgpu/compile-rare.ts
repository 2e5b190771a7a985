import { squareSums } from '@reallm/kernels/webgpu/rare'
import type { AttendShared, PerLayerInputsOp, Times } from '../layered-op.ts'
import type { Slot } from '../op.ts'
import { attendTo } from './compile-attention.ts'
import { compileExperts } from './compile-experts.ts'
import { deltaRule, scan, shortConv } from './compile-recurrent.ts'
import { type Compiler, inputStep, roundUp } from './compiler.ts'
import type { ColumnSquares, RareOp } from './gpu-op.ts'
import { lookUp } from './look-up.ts'
import { floatWord } from './stage.ts'
import type { GpuVector } from './vector.ts'
import type { GpuWeight } from './weight.ts'

export { rareSteps, routing } from '@reallm/kernels/webgpu/rare'
export { prepareRecurrent } from './prepare-recurrent.ts'

/** Ops that few models have. */
export function compileRare(c: Compiler, op: RareOp): void {
  switch (op.kind) {
    case 'experts':
      compileExperts(c, op)
      break
    case 'short-conv':
      shortConv(c, op)
      break
    case 'delta-rule':
      deltaRule(c, op)
      break
    case 'scan':
      scan(c, op)
      break
    case 'attend-shared':
      attendShared(c, op)
      break
    case 'per-layer-inputs':
      perLayerInputs(c, op)
      break
    case 'times':
      times(c, op)
      break
    case 'column-squares':
      columnSquares(c, op)
  }
}

function attendShared(c: Compiler, { spec, query, norm, to }: AttendShared): void {
  const { heads, headDim, rope, layer } = spec
  const width = heads * headDim
  const { read, output } = attendTo(c, { spec, layer }, input => [
    [
      ...c.source(query).load,
      ...(norm ? [c.steps.norm(norm, width)] : []),
      ...(rope ? [c.steps.rope(rope, true, width, headDim)] : []),
      input,
    ],
  ])
  c.set(to, { role: 'attended', load: [read], isHidden: false, release: () => c.partials.give(output) })
}

/** One dispatch makes those of all layers, each of which reads its own part. */
function perLayerInputs(c: Compiler, { from, projection, norm, table, to }: PerLayerInputsOp): void {
  const [{ width }] = to
  const [product] = c.products(from, undefined, [projection as GpuWeight])
  const { load, release } = c.loadProduct(product, undefined)
  const all = projection.rows
  const region = c.activations.take(all * c.tokens)
  const rows = lookUp(c, table as GpuWeight, Math.sqrt(width))
  c.emit({
    ...{ kind: 'vector', role: 'layered', embedding: rows.embedding },
    slots: [
      [
        ...load,
        c.steps.norm(norm, all),
        { op: 'keep', words: [all], size: all },
        ...rows.load,
        { op: 'add', words: [all, floatWord(Math.SQRT1_2)], size: all },
        { op: 'store', words: [all, region.at], size: all },
      ],
    ],
  })
  release()
  rows.release()
  let users = to.length
  for (const [layer, slot] of to.entries()) {
    c.set(slot, {
      ...{ role: 'enter', isHidden: false },
      load: [{ op: 'load', words: [width, region.at + layer * width, all], size: width }],
      release: () => {
        if (--users === 0) c.activations.give(region)
      },
    })
  }
}

function times(c: Compiler, { factor, hidden }: Times): void {
  const { region: _, ...source } = c.source(hidden)
  const [value] = (factor as GpuVector).values
  c.forget(hidden)
  const { width } = hidden
  c.set(hidden, {
    ...source,
    load: [...source.load, { op: 'times', words: [width, floatWord(value)], size: width }],
    isHidden: true,
  })
}

/** A column is the product with a unit vector. */
function columnSquares(c: Compiler, { weight }: ColumnSquares): void {
  const { rows, cols } = weight
  const unit: Slot = { width: cols }
  c.set(unit, {
    ...{ role: 'enter', isHidden: false, release() {} },
    load: [{ op: 'unit', words: [cols], size: cols }],
  })
  const [product] = c.products(unit, undefined, [weight as GpuWeight])
  const step = roundUp(rows)
  const columns = c.x.take(step * c.tokens)
  const { load } = c.loadProduct(product, undefined)
  c.emit(
    { kind: 'vector', role: 'logits', slots: [[...load, inputStep(rows, columns, step)]] },
    { kind: 'logits', code: squareSums, count: rows, from: 'x', words: [rows, columns.at, step, c.tokens] },
  )
}
