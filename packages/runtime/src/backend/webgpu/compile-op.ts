import type { Op } from '../op.ts'
import { compileAttention } from './compile-attention.ts'
import { compileHead } from './compile-head.ts'
import type { Compiler } from './compiler.ts'
import { gateSteps } from './gate-steps.ts'
import type { RareOp } from './gpu-op.ts'
import { lookUp } from './look-up.ts'
import { floatWord } from './stage.ts'
import type { GpuWeight } from './weight.ts'

type OpOf<Kind extends Op['kind']> = Extract<Op, { readonly kind: Kind }>

/** @throws `unsupported` for heads of a width that no kernel is made for, and embeddings that cannot be looked up */
export function compileOp(c: Compiler, op: Exclude<Op, RareOp>): void {
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
  }
}

function embed(c: Compiler, { weight, scale, to }: OpOf<'embed'>): void {
  c.set(to, { role: 'enter', isHidden: true, ...lookUp(c, weight as GpuWeight, scale) })
}

function project(c: Compiler, { from, norm, members }: OpOf<'project'>): void {
  const weights = members.map(({ weight }) => weight as GpuWeight)
  const products = c.products(from, norm, weights)
  for (const [m, { bias, parts }] of members.entries()) {
    let users = parts.length
    for (const part of parts) {
      const { load, release } = c.loadPart(products[m], bias, part)
      c.set(part.to, {
        ...{ role: 'enter', load, isHidden: false },
        release: () => {
          if (--users === 0) release()
        },
      })
    }
  }
}

function gatedProduct(c: Compiler, { gate, up, to, activation }: OpOf<'gated-product'>): void {
  const [g, u] = [c.source(gate), c.source(up)]
  const load = gateSteps(g.load, u.load, to.width, { activation })
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
