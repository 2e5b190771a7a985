// What compressing a model needs: products, factorisations, transforms, searches. The host copies operands in and
// results out; pointers are byte addresses, multiples of 16. Helper threads instantiate the same module on the same
// memory and call `work`; operations named `…Part` run on all threads, each on its share.
import { awaitShare, currentOperation, currentParts, finished, first, next, put, tellHelpers } from '../inference/job'
import { nervPart, putNerv } from '../neural/nerv'
import { putScales, scalesPart } from '../scales/fit'
import { beamPart } from './beam'
import { gemmPart } from './gemm'
import { nearestPart } from './nearest'
import { viterbiPart } from './viterbi'

export { setThreads } from '../inference/job'
export { nervScratch } from '../neural/nerv'
export { beamScratch } from './beam'
export { accumulate, rotateRows, tridiagonalise } from './eigen'
export { cholesky, invertLower, lowerGram, solve } from './factor'
export { gemmScratch, mirror } from './gemm'
export { butterflies, denseFactor } from './hadamard'
export { viterbiScratch } from './viterbi'

const STOP: i32 = 0
const GEMM: i32 = 1
const VITERBI: i32 = 2
const NEAREST: i32 = 3
const NERV: i32 = 4
const BEAM: i32 = 5
const SCALES: i32 = 6

function execute(operation: i32, part: i32, parts: i32, thread: i32): void {
  switch (operation) {
    case GEMM:
      return gemmPart(part, parts, thread)
    case VITERBI:
      return viterbiPart(part, parts, thread)
    case NEAREST:
      return nearestPart(part, parts)
    case NERV:
      return nervPart(part, parts, thread)
    case BEAM:
      return beamPart(part, parts, thread)
    case SCALES:
      return scalesPart(part, parts)
  }
}

function run(operation: i32, work: i64): void {
  for (let part = first(operation, work, 1); part >= 0; part = next()) execute(operation, part, currentParts(), 0)
}

/** The loop of helper thread number `thread`; returns when `stop` is called. */
export function work(thread: i32): void {
  for (;;) {
    const part = awaitShare()
    const operation = currentOperation()
    if (operation !== STOP) execute(operation, part, currentParts(), thread)
    finished()
    if (operation === STOP) return
  }
}

/** Ends the helper threads. */
export function stop(): void {
  tellHelpers(STOP)
}

export function gemm(
  a: usize, b: usize, c: usize, m: i32, n: i32, k: i32, lda: i32, ldb: i32, transposeA: i32, transposeB: i32,
  accumulate: i32, scratch: usize, lower: i32,
): void {
  put(0, a)
  put(1, b)
  put(2, c)
  put(3, m)
  put(4, n)
  put(5, k)
  put(6, lda)
  put(7, ldb)
  put(8, transposeA)
  put(9, transposeB)
  put(10, accumulate)
  put(11, scratch)
  put(12, lower)
  run(GEMM, <i64>m * n * k)
}

export function viterbi(
  values: usize, weights: usize, sequences: i32, length: i32, rate: i32, lut: usize, size: i32, scale: f32,
  tailBiting: i32, paths: usize, scratch: usize, coarse: usize,
): void {
  put(0, values)
  put(1, weights)
  put(2, sequences)
  put(3, length)
  put(4, rate)
  put(5, lut)
  put(6, size)
  put(7, scale)
  put(8, tailBiting)
  put(9, paths)
  put(10, scratch)
  put(11, coarse)
  run(VITERBI, <i64>sequences * length * size)
}

export function nearestCentroid(
  points: usize, centroids: usize, weights: usize, weightStep: i32, n: i32, d: i32, padded: i32, out: usize,
): void {
  put(0, points)
  put(1, centroids)
  put(2, weights)
  put(3, weightStep)
  put(4, n)
  put(5, d)
  put(6, padded)
  put(7, out)
  run(NEAREST, <i64>n * d * padded)
}

export function beamSearch(
  similar: usize, products: usize, norms: usize, n: i32, count: i32, size: i32, beam: i32, out: usize, scratch: usize,
): void {
  put(0, similar)
  put(1, products)
  put(2, norms)
  put(3, n)
  put(4, count)
  put(5, size)
  put(6, beam)
  put(7, out)
  put(8, scratch)
  run(BEAM, <i64>n * count * size * beam)
}

export function fitScales(
  values: usize, weights: usize, n: i32, m: i32, width: i32, levels: usize, count: i32, perUnit: f32, shares: usize,
  starts: i32, rounds: i32, hasZero: i32, scales: usize, zeros: usize,
): void {
  putScales(values, weights, n, m, width, levels, count, perUnit, shares, starts, rounds, hasZero, scales, zeros)
  run(SCALES, <i64>n * width * starts * rounds)
}

export function nerv(
  decoder: usize, latents: usize, count: i32, side: i32, layers: usize, out: usize, scratch: usize,
): void {
  run(NERV, putNerv(decoder, latents, count, side, layers, out, scratch))
}
