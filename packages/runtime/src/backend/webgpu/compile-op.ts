import { ReallmError } from '@reallm/tensor-io'
import type { Activation } from '@reallm/tensor-io/models'
import type { Op } from '../op.ts'
import { compileAttention } from './compile-attention.ts'
import { compileHead } from './compile-head.ts'
import type { Compiler } from './compiler.ts'
import { floatWord, type VectorStep } from './stage.ts'
import { type GpuWeight, isTrellis } from './weight.ts'

type OpOf<Kind extends Op['kind']> = Extract<Op, { readonly kind: Kind }>

/** @throws `unsupported` for ops that no kernel is made for */
export function compileOp(c: Compiler, op: Op): void {
  switch (op.kind) {
    case 'embed':
      embed(c, op)
      break
    case 'project':
      project(c, op)
      break
    case 'attend':
      compileAttention(c, op)
      break
    case 'gated-product':
      gatedProduct(c, op)
      break
    case 'residual':
      residual(c, op)
      break
    case 'head':
      compileHead(c, op)
      break
    default:
      throw new ReallmError('unsupported', `the WebGPU backend knows no ${op.kind}`, {
        hint: "load the model with device: 'wasm'",
      })
  }
}

function embed(c: Compiler, { weight, scale, to }: OpOf<'embed'>): void {
  const w = weight as GpuWeight
  if (w.pieces.length > 1 || w.after.some(step => step.kind === 'rotate')) {
    throw new ReallmError(
      'unsupported',
      `the embedding [${w.rows}×${w.cols}] cannot be looked up on this GPU`,
      {
        hint: "load it with device: 'wasm'",
      },
    )
  }
  const load: VectorStep[] = [
    { op: 'embed', words: [floatWord(scale), ...placeOf(c, w.pieces[0])], size: w.cols },
  ]
  // A row of S T W' is a row of W' that goes through what an input goes through, backwards.
  for (const step of w.before.toReversed()) {
    if (step.kind === 'scale') load.push(c.steps.scale(step.factors))
    else if (step.kind === 'rotate') load.push(c.steps.rotate('rotateOutput', step))
    else
      throw new ReallmError('unsupported', 'an embedding with a low-rank part cannot be looked up on a GPU')
  }
  if (w.after.length > 0) throw new ReallmError('unsupported', 'an embedding whose rows are scaled again')
  c.set(to, { role: 'enter', load, isHidden: true, embedding: w, release() {} })
}

/** The arguments of a kernel that looks rows up. */
function placeOf({ shared }: Compiler, { blob, place: { at } }: GpuWeight['pieces'][number]): number[] {
  const { rows, cols } = blob
  if (isTrellis(blob)) {
    const tables = shared.tables.place(blob.tables)
    const size = [at, Math.ceil(cols / 16), Math.ceil(rows / 16)]
    return [...size, at + blob.scalesAt, blob.scaleStep, tables, 0, 0]
  }
  const { codes, rowWords, group, table, scales, shifts } = blob
  const size = [at + codes, rowWords, Math.ceil(cols / 8), Math.ceil(cols / group)]
  return [...size, at + table, at + scales, at + shifts, group]
}

function project(c: Compiler, { from, norm, members }: OpOf<'project'>): void {
  const weights = members.map(({ weight }) => weight as GpuWeight)
  const products = c.products(from, norm, weights)
  for (const [m, { bias, parts }] of members.entries()) {
    let users = parts.length
    for (const { row, to } of parts) {
      const { load, release } = c.loadProduct(products[m], bias)
      const isWhole = row === 0 && to.width === products[m].weight.rows
      const slice: VectorStep = { op: 'slice', words: [to.width, row], size: to.width }
      c.set(to, {
        role: 'enter',
        load: isWhole ? load : [...load, slice],
        isHidden: false,
        release: () => {
          if (--users === 0) release()
        },
      })
    }
  }
}

function gatedProduct(c: Compiler, { gate, up, to, activation }: OpOf<'gated-product'>): void {
  const [g, u] = [c.source(gate), c.source(up)]
  const { width } = to
  const kinds: Readonly<Record<Activation, number>> = { silu: 0, gelu_pytorch_tanh: 1, gelu: 2 }
  const load: VectorStep[] = [
    ...g.load,
    { op: 'keep', words: [width], size: width },
    ...u.load,
    { op: 'gate', words: [width, kinds[activation]], size: width },
  ]
  c.forget(gate)
  c.forget(up)
  c.set(to, {
    role: 'gated',
    load,
    isHidden: false,
    release() {
      g.release()
      u.release()
    },
  })
}

function residual(c: Compiler, { from, weight, bias, norm, scale, hidden }: OpOf<'residual'>): void {
  const [product] = c.products(from, undefined, [weight as GpuWeight])
  const base = c.kept(hidden)
  const { load, release } = c.loadProduct(product, bias)
  const width = product.weight.rows
  c.forget(hidden)
  c.set(hidden, {
    role: 'enter',
    load: [
      ...load,
      ...(norm ? [c.steps.norm(norm, width)] : []),
      { op: 'residual', words: [width, base.at, floatWord(scale)], size: width },
    ],
    isHidden: true,
    release: () => {
      release()
      c.activations.give(base)
    },
  })
}
