import { beamSearch, type Codebooks, cholesky, inverse, matmul } from '@reallm/kernels'
import {
  breather,
  type EncodeContext,
  f16ToF32,
  f32ToF16,
  type Matrix,
  ReallmError,
  tileOf,
  zeroMatrix,
} from '@reallm/tensor-io'
import { sumsOf } from './sums.ts'

/** A matrix as additive codes: `Ŵ[row, group] = scales[row] · Σ_m books[m][codes[row, group, m]]`. */
export interface AdditiveCode {
  /** `[rows, groups, M]` flat. */
  readonly codes: Uint16Array
  readonly books: Codebooks
  /** One for each row. */
  readonly scales: Float32Array
}

/** Damping: share of the mean diagonal added to H; also the diagonal of columns that pad the last group. */
const DAMPING = 0.01
/** Conjugate-gradient steps on the codebooks in a round. */
const STEPS = 8

/**
 * Lowers tr(ΔW H ΔWᵀ) of an additive code in place (AQLM, arXiv 2401.06118 §3.2–3.3). One round: codebooks by conjugate
 * gradients and row scales by least squares, both in f16; then codes, one group of columns after the other, by beam search
 * under H with all other groups fixed.
 */
export async function refine(
  weights: Matrix,
  code: AdditiveCode,
  hessian: Matrix,
  { rounds, beam }: { readonly rounds: number; readonly beam: number },
  ctx: EncodeContext,
): Promise<void> {
  const breathe = breather(ctx)
  const dim = code.books.vectors.cols
  const cols = (code.codes.length / code.books.count / weights.rows) * dim
  const w = padded(weights, weights.rows, cols)
  const h = damped(padded(hessian, cols, cols))
  for (let round = 0; round < rounds; round++) {
    await breathe()
    updateCodebooks(w, code, h)
    updateScales(w, code, h)
    const pull = matmul(errorOf(w, code), h)
    for (let col = 0; col < cols; col += dim) {
      await breathe()
      updateGroup(code, h, pull, col, beam)
    }
    ctx.onProgress?.({ event: 'round-end', done: round + 1, total: rounds })
  }
}

/** New codes of one group of columns; updates `pull` = ΔW·H. */
function updateGroup(code: AdditiveCode, h: Matrix, pull: Matrix, col: number, beam: number): void {
  const { books, scales, codes } = code
  const { count, size } = books
  const { rows, cols: dim } = { rows: pull.rows, cols: books.vectors.cols }
  const across: Matrix = {
    rows: dim,
    cols: h.cols,
    data: h.data.subarray(col * h.cols, (col + dim) * h.cols),
  }
  const own = tileOf(across, 0, col, across.rows, dim)
  const [factor, inverted] = [cholesky(own), inverse(own)]
  if (!factor || !inverted) {
    throw new ReallmError('numeric', `the Hessian of columns ${col} to ${col + dim} is not positive definite`)
  }
  const old = Uint16Array.from({ length: rows * count }, (_, i) => {
    return codes[codeAt(h.cols / dim, count, dim, Math.floor(i / count), col) + (i % count)]
  })
  const before = sumsOf(old, books)
  // With all other groups fixed, the best values of this one are q + ΔW·H·(H of the group)⁻¹.
  const target = matmul(tileOf(pull, 0, col, pull.rows, dim), inverted)
  for (let i = 0; i < target.data.length; i++) {
    const scale = scales[Math.floor(i / dim)]
    target.data[i] = before.data[i] + (scale > 0 ? target.data[i] / scale : 0)
  }
  const whitened = matmul(target, factor)
  const whitenedBooks = { vectors: matmul(books.vectors, factor), count, size }
  const fresh = beamSearch(whitenedBooks, beam)(whitened)
  const [wasNear, isNear] = [sumsOf(old, whitenedBooks).data, sumsOf(fresh, whitenedBooks).data]
  for (let r = 0; r < rows; r++) {
    let gain = 0
    for (let i = r * dim; i < (r + 1) * dim; i++) {
      gain += (whitened.data[i] - wasNear[i]) ** 2 - (whitened.data[i] - isNear[i]) ** 2
    }
    if (gain <= 0) fresh.set(old.subarray(r * count, (r + 1) * count), r * count)
    codes.set(fresh.subarray(r * count, (r + 1) * count), codeAt(h.cols / dim, count, dim, r, col))
  }
  const change = sumsOf(fresh, books)
  for (let i = 0; i < change.data.length; i++) {
    change.data[i] = scales[Math.floor(i / dim)] * (before.data[i] - change.data[i])
  }
  matmul(change, across, { out: pull, accumulate: true })
}

const codeAt = (groups: number, count: number, dim: number, row: number, col: number): number =>
  (row * groups + col / dim) * count

/** Conjugate gradients on tr(ΔW H ΔWᵀ) over all codewords, preconditioned by the total importance of each. */
function updateCodebooks(w: Matrix, code: AdditiveCode, h: Matrix): void {
  const { books, codes, scales } = code
  const { vectors, count, size } = books
  const dim = vectors.cols
  const mass = new Float64Array(count * size)
  const perRow = codes.length / scales.length
  let mean = 0
  for (let i = 0; i < h.rows; i++) mean += h.data[i * (h.cols + 1)] / h.rows
  for (let i = 0; i < codes.length; i++) {
    mass[(i % count) * size + codes[i]] += mean * scales[Math.floor(i / perRow)] ** 2
  }
  const preconditioned = (r: Float32Array) =>
    r.map((v, i) => (mass[Math.floor(i / dim)] > 0 ? v / mass[Math.floor(i / dim)] : 0))

  const residual = collect(matmul(errorOf(w, code), h), code)
  let z = preconditioned(residual)
  const direction = z.slice()
  let product = dot(residual, z)
  for (let step = 0; step < STEPS && product > 0; step++) {
    const moved = expand({ ...code, books: { ...books, vectors: { ...vectors, data: direction } } })
    const curved = collect(matmul(moved, h), code)
    const length = product / dot(direction, curved)
    if (!Number.isFinite(length)) break
    for (let i = 0; i < direction.length; i++) {
      vectors.data[i] += length * direction[i]
      residual[i] -= length * curved[i]
    }
    z = preconditioned(residual)
    const next = dot(residual, z)
    for (let i = 0; i < direction.length; i++) direction[i] = z[i] + (next / product) * direction[i]
    product = next
  }
  vectors.data.set(f16ToF32(f32ToF16(vectors.data)))
}

/** Least-squares scale of every row under H, in f16. */
function updateScales(w: Matrix, code: AdditiveCode, h: Matrix): void {
  const { scales } = code
  const q = expand({ ...code, scales: new Float32Array(scales.length).fill(1) })
  const [wh, qh] = [matmul(w, h), matmul(q, h)]
  const { cols } = w
  for (let r = 0; r < scales.length; r++) {
    const row = (m: Matrix) => m.data.subarray(r * cols, (r + 1) * cols)
    const scale = dot(row(wh), row(q)) / dot(row(qh), row(q))
    if (scale > 0 && scale < 65504) scales[r] = scale
  }
  scales.set(f16ToF32(f32ToF16(scales)))
}

/** The matrix that the codes decode to. */
function expand({ codes, books, scales }: AdditiveCode): Matrix {
  const { data } = sumsOf(codes, books)
  const cols = data.length / scales.length
  for (let i = 0; i < data.length; i++) data[i] *= scales[Math.floor(i / cols)]
  return { rows: scales.length, cols, data }
}

function errorOf(w: Matrix, code: AdditiveCode): Matrix {
  const q = expand(code)
  for (let i = 0; i < q.data.length; i++) q.data[i] = w.data[i] - q.data[i]
  return q
}

/** The transpose of `expand` as a function of the codebooks: sums of `values` over all places of each codeword. */
function collect(values: Matrix, { codes, books, scales }: AdditiveCode): Float32Array {
  const { count, size, vectors } = books
  const dim = vectors.cols
  const sums = new Float64Array(vectors.data.length)
  for (let i = 0; i < codes.length; i++) {
    const to = ((i % count) * size + codes[i]) * dim
    const from = Math.floor(i / count) * dim
    const scale = scales[Math.floor(from / values.cols)]
    for (let j = 0; j < dim; j++) sums[to + j] += scale * values.data[from + j]
  }
  return Float32Array.from(sums)
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

function padded(m: Matrix, rows: number, cols: number): Matrix {
  const out = zeroMatrix(rows, cols)
  for (let r = 0; r < m.rows; r++) out.data.set(m.data.subarray(r * m.cols, (r + 1) * m.cols), r * cols)
  return out
}

function damped(h: Matrix): Matrix {
  let mean = 0
  for (let i = 0; i < h.rows; i++) mean += h.data[i * (h.cols + 1)] / h.rows
  for (let i = 0; i < h.rows; i++) h.data[i * (h.cols + 1)] += DAMPING * mean || 1
  return h
}
