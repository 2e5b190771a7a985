import { random } from '../../../packages/tensor-io/src/index.ts'
import type { Targets } from './fit.ts'
import type { Rounding } from './rounded.ts'

const ROUNDS = 15
/** Vectors that a lattice is fitted to. */
const SAMPLE = 3000
const COMPANDINGS = [0, 0.7, 1.5]

/** Points `expand(G (z + ½))`, z in {−2, …, 1}^d: 2 bits per weight. */
interface Lattice {
  readonly dim: number
  /** `[dim, dim]` */
  readonly generator: Float64Array
  /** μ of the μ-law; 0: none. */
  readonly companding: number
}

const compress = (v: number, mu: number) =>
  mu === 0 ? v : (Math.sign(v) * Math.log1p(mu * Math.abs(v))) / mu
const expand = (v: number, mu: number) => (mu === 0 ? v : (Math.sign(v) * Math.expm1(mu * Math.abs(v))) / mu)
const slope = (v: number, mu: number) => Math.exp(mu * Math.abs(v))

/**
 * Learns the generator and the companding of a lattice of `dim` neighbouring weights (GLVQ, arXiv 2510.20984), by turns: nearest
 * points, then the generator by least squares (Gauss–Newton where companding bends it). The best of several compandings.
 */
export function fitLattice(
  targets: readonly Targets[],
  dim: number,
  seed: number,
): { rounding: Rounding; bits: number } {
  const all = targets.flatMap(({ x }) => (x.length % dim === 0 ? [x] : []))
  const { integer, normal } = random(seed)
  const x = new Float32Array(SAMPLE * dim)
  for (let i = 0; i < SAMPLE; i++) {
    const from = all[integer(all.length)]
    const at = dim * integer(from.length / dim)
    x.set(from.subarray(at, at + dim), i * dim)
  }
  let best: { lattice: Lattice; error: number } | undefined
  for (const companding of COMPANDINGS) {
    const generator = Float64Array.from(
      { length: dim * dim },
      (_, i) => (i % (dim + 1) === 0 ? 0.95 / (1 + 0.5 * companding) : 0) + (dim > 1 ? 0.1 * normal() : 0),
    )
    let lattice: Lattice = { dim, generator, companding }
    for (let round = 0; round < ROUNDS; round++) lattice = refitted(lattice, x)
    const error = squared(x, nearest(lattice, x).decoded)
    if (!best || error < best.error) best = { lattice, error }
  }
  const { lattice } = best!
  return {
    rounding: { cols: dim, byCost: false, round: block => nearest(lattice, block).decoded },
    bits: 16 * dim * dim + 16,
  }
}

function squared(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2
  return sum
}

/** Babai's point, then single steps along the axes of z while they come nearer. */
function nearest({ dim, generator, companding: mu }: Lattice, x: Float32Array) {
  const inverse = invert(generator, dim)
  const codes = new Float32Array(x.length)
  const decoded = new Float32Array(x.length)
  const y = new Float64Array(dim)
  const z = new Float64Array(dim)
  const point = new Float64Array(dim)
  for (let at = 0; at < x.length; at += dim) {
    for (let i = 0; i < dim; i++) y[i] = compress(x[at + i], mu)
    for (let i = 0; i < dim; i++) {
      let sum = 0
      for (let j = 0; j < dim; j++) sum += inverse[i * dim + j] * y[j]
      z[i] = Math.max(-1.5, Math.min(1.5, Math.floor(sum) + 0.5))
    }
    for (let i = 0; i < dim; i++) {
      point[i] = 0
      for (let j = 0; j < dim; j++) point[i] += generator[i * dim + j] * z[j]
    }
    const distance = (axis: number, step: number) => {
      let sum = 0
      for (let i = 0; i < dim; i++)
        sum += (expand(point[i] + step * generator[i * dim + axis], mu) - x[at + i]) ** 2
      return sum
    }
    let least = distance(0, 0)
    for (let moved = true; moved; ) {
      moved = false
      for (let axis = 0; axis < dim; axis++) {
        for (const step of [-1, 1]) {
          if (Math.abs(z[axis] + step) > 1.5) continue
          const other = distance(axis, step)
          if (other >= least - 1e-9) continue
          least = other
          z[axis] += step
          for (let i = 0; i < dim; i++) point[i] += step * generator[i * dim + axis]
          moved = true
        }
      }
    }
    for (let i = 0; i < dim; i++) {
      codes[at + i] = z[i]
      decoded[at + i] = expand(point[i], mu)
    }
  }
  return { codes, decoded }
}

/** The generator after one step of least squares, row by row. */
function refitted(lattice: Lattice, x: Float32Array): Lattice {
  const { dim, generator, companding: mu } = lattice
  const { codes } = nearest(lattice, x)
  const next = new Float64Array(generator.length)
  for (let i = 0; i < dim; i++) {
    const normal = new Float64Array(dim * dim)
    const right = new Float64Array(dim)
    for (let at = 0; at < x.length; at += dim) {
      let y = 0
      for (let j = 0; j < dim; j++) y += generator[i * dim + j] * codes[at + j]
      const bend = slope(y, mu)
      const wanted = bend * y + x[at + i] - expand(y, mu)
      for (let j = 0; j < dim; j++) {
        right[j] += bend * codes[at + j] * wanted
        for (let k = 0; k < dim; k++) normal[j * dim + k] += bend * bend * codes[at + j] * codes[at + k]
      }
    }
    const inverse = invert(normal, dim)
    for (let j = 0; j < dim; j++)
      for (let k = 0; k < dim; k++) next[i * dim + j] += inverse[j * dim + k] * right[k]
  }
  return { ...lattice, generator: next }
}

/** Gauss–Jordan with pivots. */
function invert(m: Float64Array, n: number): Float64Array {
  const a = m.slice()
  const inverse = Float64Array.from({ length: n * n }, (_, i) => +(i % (n + 1) === 0))
  for (let c = 0; c < n; c++) {
    let pivot = c
    for (let r = c + 1; r < n; r++) if (Math.abs(a[r * n + c]) > Math.abs(a[pivot * n + c])) pivot = r
    for (const side of [a, inverse]) {
      const row = side.slice(c * n, (c + 1) * n)
      side.copyWithin(c * n, pivot * n, (pivot + 1) * n)
      side.set(row, pivot * n)
    }
    const scale = 1 / a[c * n + c]
    for (const side of [a, inverse]) for (let j = 0; j < n; j++) side[c * n + j] *= scale
    for (let r = 0; r < n; r++) {
      const factor = a[r * n + c]
      if (r === c || factor === 0) continue
      for (const side of [a, inverse]) for (let j = 0; j < n; j++) side[r * n + j] -= factor * side[c * n + j]
    }
  }
  return inverse
}
