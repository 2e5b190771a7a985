import type { Matrix } from '@reallm/tensor-io'
import { matmul } from '../matmul.ts'
import { floatsOf, type KernelCall, type KernelFunction, type TensorInfo, type WasmBackend } from './types.ts'

const product = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1)

/** `BatchMatMul` for float32 of any rank ≥ 2 whose batch shapes are equal, or one of which is 1; others go to `before`. */
export const batchMatMul =
  (before: KernelFunction): KernelFunction =>
  call => {
    const { a, b } = call.inputs
    return multiply(call, a!, b!) ?? before(call)
  }

const activations: Record<string, (x: number) => number> = {
  linear: x => x,
  relu: x => Math.max(0, x),
  relu6: x => Math.min(6, Math.max(0, x)),
  sigmoid: x => 1 / (1 + Math.exp(-x)),
  elu: x => (x < 0 ? Math.expm1(x) : x),
}

/** `_FusedMatMul`: the same plus a bias per column and an element-wise activation. */
export const fusedMatMul =
  (before: KernelFunction): KernelFunction =>
  call => {
    const { a, b, bias } = call.inputs
    const activation = activations[call.attrs.activation as string]
    const width = call.attrs.transposeB ? b!.shape.at(-2) : b!.shape.at(-1)
    if (!activation || (bias && product(bias.shape) !== width)) return before(call)
    const out = multiply(call, a!, b!)
    if (!out) return before(call)
    const y = floatsOf(call.backend, out)
    const shift = bias && floatsOf(call.backend, bias)
    if (shift) for (let i = 0; i < y.length; i++) y[i] += shift[i % shift.length]
    if (call.attrs.activation !== 'linear') for (let i = 0; i < y.length; i++) y[i] = activation(y[i])
    return out
  }

function multiply({ attrs, backend }: KernelCall, a: TensorInfo, b: TensorInfo): TensorInfo | undefined {
  if (a.dtype !== 'float32' || b.dtype !== 'float32') return undefined
  const [batchesA, batchesB] = [product(a.shape.slice(0, -2)), product(b.shape.slice(0, -2))]
  const equal = a.shape.slice(0, -2).join() === b.shape.slice(0, -2).join()
  if (!equal && batchesA !== 1 && batchesB !== 1) return undefined
  const transposeA = attrs.transposeA === true
  const transposeB = attrs.transposeB === true
  const m = a.shape.at(transposeA ? -1 : -2)!
  const n = b.shape.at(transposeB ? -2 : -1)!
  const outer = longest(a.shape, b.shape, batchesA >= batchesB).slice(0, -2)
  const out = backend.makeOutput([...outer, m, n], 'float32')
  const batches = Math.max(batchesA, batchesB)
  if (product(out.shape) === 0) return out
  if (batchesB === 1 && !transposeA && batches > 1) {
    // One weight for all: the batches are rows of one product.
    const left = { rows: batches * m, cols: a.shape.at(-1)!, data: floatsOf(backend, a) }
    const y = { rows: batches * m, cols: n, data: floatsOf(backend, out) }
    matmul(left, part(backend, b, 0), { transposeB, out: y })
    return out
  }
  const result = floatsOf(backend, out)
  for (let i = 0; i < batches; i++) {
    const y = { rows: m, cols: n, data: result.subarray(i * m * n, (i + 1) * m * n) }
    const left = part(backend, a, batchesA === 1 ? 0 : i)
    matmul(left, part(backend, b, batchesB === 1 ? 0 : i), { transposeA, transposeB, out: y })
  }
  return out
}

/** Matrix `i` of a batch, a view. */
function part(backend: WasmBackend, info: TensorInfo, i: number): Matrix {
  const [rows, cols] = [info.shape.at(-2)!, info.shape.at(-1)!]
  return { rows, cols, data: floatsOf(backend, info).subarray(i * rows * cols, (i + 1) * rows * cols) }
}

/** The shape that the product's batch axes come from. */
function longest(a: readonly number[], b: readonly number[], preferA: boolean): readonly number[] {
  if (a.length !== b.length) return a.length > b.length ? a : b
  return preferA ? a : b
}
