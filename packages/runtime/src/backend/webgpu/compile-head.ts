import { logitsKernel } from '@reallm/kernels/webgpu'
import type { Op } from '../op.ts'
import { type Compiler, inputStep, roundUp, vectorStage } from './compiler.ts'
import { floatWord, type Product, type VectorStep } from './stage.ts'
import type { GpuWeight, Step } from './weight.ts'

/** The last norm, the product with the head, and what makes logits of it where that is needed. */
export function compileHead(c: Compiler, op: Extract<Op, { readonly kind: 'head' }>): void {
  const { from, norm, weight, scale, softcap } = op
  c.beginHead()
  const w = weight as GpuWeight
  const source = c.source(from)
  const input = c.x.take(roundUp(w.cols))
  const taps = new Map<Step, number>()
  c.emit(
    vectorStage(source, [
      [
        ...source.load,
        ...(norm ? [c.steps.norm(norm, from.width)] : []),
        ...c.steps.before(w, taps),
        inputStep(w.cols, input, 0),
      ],
    ]),
  )
  const output = c.y.take(w.rows)
  const isPlain = w.after.length === 0 && scale === 1 && softcap === undefined
  const product: Product = { weight: w, input, inputStep: 0, output, outputStep: w.rows, chunks: 1 }
  const direct: Product = { ...product, output: { at: 0, size: w.rows } }
  c.emit({ kind: 'product', products: [isPlain ? direct : product], isHead: isPlain })
  if (isPlain) return
  let place = output.at
  if (w.after.length > 0) {
    const finished = c.x.take(w.rows)
    place = finished.at
    const loaded: VectorStep = { op: 'product', words: [w.rows, output.at, 0, 1, 0], size: w.rows }
    const stored: VectorStep = { op: 'input', words: [w.rows, w.rows, place, 0], size: w.rows }
    c.emit({ kind: 'vector', role: 'logits', slots: [[loaded, ...c.steps.after(w, taps), stored]] })
  }
  const words = [w.rows, place, floatWord(scale), floatWord(softcap ?? 0)]
  c.emit({
    ...{ kind: 'logits', code: logitsKernel, words },
    ...{ count: w.rows, from: w.after.length > 0 ? 'x' : 'y' },
  })
}
