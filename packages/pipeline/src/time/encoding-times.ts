import { addTimesInverse, dampedFactor, matmul } from '@reallm/kernels'
import { type Matrix, random, zeroMatrix } from '@reallm/tensor-io'
import { cpuSeconds } from '#platform'
import type { AllocatedMatrix } from '../allocate/allocate-bits.ts'
import { comparedRows, encodeMatrix, measuredRows } from '../encoder/encode-matrix.ts'
import { isAsymmetric, keptStatistics, needsHessians } from '../recipes/recipe.ts'
import type { Settings } from '../settings.ts'

/** Sides up to which a made-up piece is as large as the matrix, or as the Hessian. */
const most = { rows: 128, cols: 512, hessian: 2560 }

/** What is done with Hessians, and the MACs that it takes of large ones, over the third power of the side. */
const hessianWork = {
  factor: { run: (hessian: Matrix) => dampedFactor(hessian), macs: 1 / 3 },
  inverse: {
    run(hessian: Matrix) {
      const row = zeroMatrix(1, hessian.cols)
      return addTimesInverse(row, row, hessian)
    },
    macs: 1 / 6,
  },
}

/**
 * How long matrices take to encode, in processor seconds. It is the sum of
 * - what each weight of a made-up piece of a few rows and columns takes in the matrix's configuration,
 * - the products of the matrix and its Hessians, of which the piece has hardly any, at the speed of a large one,
 * - what it takes to factorise and invert Hessians, those of large ones as far as they are larger at the speed of products.
 *
 * Each is measured once for all matrices that have it alike.
 */
export function encodingTimes({ recipe, effort, seed }: Settings) {
  const byInputs = needsHessians(recipe)
  const asymmetric = isAsymmetric(recipe)
  const known = new Map<string, number>()
  async function once(key: string, measure: () => Promise<number>): Promise<number> {
    const found = known.get(key) ?? (await measure())
    known.set(key, found)
    return found
  }
  const perMac = () => once('product', secondsPerMac)
  const ofHessian = async (what: keyof typeof hessianWork, side: number) => {
    const { run, macs } = hessianWork[what]
    const measured = Math.min(side, most.hessian)
    const seconds = await once(`${what} ${measured}`, () => {
      const hessian = madeUpHessian(measured)
      return secondsOf(() => run(hessian))
    })
    return seconds + (await perMac()) * macs * (side ** 3 - measured ** 3)
  }

  return async ({ module, configuration }: AllocatedMatrix): Promise<number> => {
    const { name, layer, shape } = module
    const byOutputs = layer !== undefined && keptStatistics(recipe, effort).outputGradients
    /** MACs that push errors onto later columns and rows, and that make two norms. */
    const macs = ([rows, cols]: readonly [number, number]) =>
      (byInputs ? (0.5 * rows + measuredRows(rows, cols)) * cols ** 2 : 0) +
      (byOutputs ? 0.5 * rows ** 2 * cols : 0)
    const piece = [Math.min(shape[0], most.rows), Math.min(shape[1], most.cols)] as const
    const perWeight = await once(`${configuration.id} ${piece} ${byOutputs}`, async () => {
      const w = normals(...piece)
      const statistics = {
        hessian: byInputs ? madeUpHessian(piece[1]) : undefined,
        outputGradients: byOutputs ? madeUpHessian(piece[0]) : undefined,
      }
      const own = configuration.byUse?.forSome(w.rows) ?? configuration
      const encode = () => encodeMatrix(name, w, own, statistics, { seed })
      // The second time code is compiled, and Hessians are factorised.
      await encode()
      const seconds = (await secondsOf(encode)) - macs(piece) * (await perMac())
      return Math.max(0, seconds) / w.data.length
    })
    const [rows, cols] = shape
    let seconds = perWeight * (rows + (byInputs ? comparedRows : 0)) * cols + (await perMac()) * macs(shape)
    if (byInputs) seconds += await ofHessian('factor', cols)
    if (byOutputs) seconds += await ofHessian('factor', rows)
    if (asymmetric) seconds += (await ofHessian('inverse', cols)) + (await perMac()) * 2 * rows * cols ** 2
    return seconds
  }
}

/** Short work is done several times, of which the quickest counts: the others were disturbed. */
async function secondsOf(work: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let all = 0, times = 0; times < 3 && all < 0.3; times++) {
    const before = cpuSeconds()
    await work()
    const seconds = cpuSeconds() - before
    least = Math.min(least, seconds)
    all += seconds
  }
  return least
}

/** Of a product as wide as those that push errors on. */
function secondsPerMac(): Promise<number> {
  const [a, b] = [normals(512, 2048), normals(512, 1024)]
  const multiply = () => matmul(a, b, { transposeA: true })
  multiply()
  return secondsOf(multiply).then(seconds => seconds / (512 * 2048 * 1024))
}

function normals(rows: number, cols: number): Matrix {
  const { normal } = random(1)
  return { rows, cols, data: Float32Array.from({ length: rows * cols }, normal) }
}

/** Positive definite, of inputs that have something in common. */
function madeUpHessian(side: number): Matrix {
  const data = new Float32Array(side * side).fill(0.1)
  for (let i = 0; i < side; i++) data[i * side + i] = 1 + i / side
  return { rows: side, cols: side, data }
}
