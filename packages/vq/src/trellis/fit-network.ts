import { trellisTable, viterbi } from '@reallm/kernels'
import { breather, type LongWork, type Matrix, random, type Tensor } from '@reallm/tensor-io'
import { type FullTrellisParams, TILE, TILE_WEIGHTS } from '@reallm/tensor-io/layouts'
import { networkTensors } from './store-network.ts'
import { networkTrainer, type StateMeans } from './train-network.ts'

const ROUNDS = 12
/** Weights per state that a round samples. */
const WEIGHTS_PER_STATE = 16

/** A matrix of the group that a network is fitted to. */
export interface FitMember {
  readonly w: Matrix
  /** One, or one for each row. */
  readonly scales: Float32Array
  /** `H` of the inputs, `[in, in]`: errors are weighted by its diagonal. */
  readonly hessian?: Matrix | undefined
}

/** Columns that share a rate, and that rate in bits per weight. */
interface Part {
  readonly bits: number
  readonly from: number
  readonly to: number
}

/**
 * Fits the network of one rate to matrices by Lloyd's algorithm: Viterbi paths of sampled tiles, then gradient steps of the
 * network towards the mean of each state's weights.
 *
 * @returns the parts to store
 */
export async function fitNetwork(
  members: readonly FitMember[],
  params: FullTrellisParams,
  part: Part,
  ctx: LongWork & { readonly seed: number },
): Promise<Record<string, Tensor>> {
  const { stateBits } = params
  const { bits } = part
  const rng = random(ctx.seed)
  const breathe = breather(ctx)
  const network = networkTrainer(params, bits, rng)
  let table = trellisTable(stateBits, bits)
  const wanted = Math.ceil((WEIGHTS_PER_STATE * 2 ** stateBits) / TILE_WEIGHTS)
  const sample = sampler(members, part, wanted, () => rng.uniform())
  for (let round = 0; round < ROUNDS && sample; round++) {
    await breathe()
    const { x, importance } = sample()
    const states = viterbi(x, { bits, lut: table, tailBiting: false })
    table = network.fit(stateMeans(states, x, importance, table), round / (ROUNDS - 1))
  }
  return networkTensors(network.stored(), stateBits, bits)
}

/** Weighted mean of each state; its current value counts as one weight, so that rare states hardly move. */
function stateMeans(
  states: Uint16Array,
  x: Float32Array,
  importance: Float32Array,
  table: Float32Array,
): StateMeans {
  const means = Float64Array.from(table)
  const counts = new Float64Array(table.length).fill(1)
  for (let i = 0; i < states.length; i++) {
    means[states[i]] += importance[i] * x[i]
    counts[states[i]] += importance[i]
  }
  for (let s = 0; s < means.length; s++) means[s] /= counts[s]
  return { counts, means }
}

/** Draws random tiles of the members, divided by their scales; undefined where there is no whole tile. */
function sampler(members: readonly FitMember[], { from, to }: Part, wanted: number, uniform: () => number) {
  const across = Math.floor((to - from) / TILE)
  const tiles = members.map(({ w }) => Math.floor(w.rows / TILE) * across)
  const all = tiles.reduce((sum, n) => sum + n, 0)
  const count = Math.min(all, wanted)
  if (count === 0) return undefined
  const x = new Float32Array(count * TILE_WEIGHTS)
  const importance = new Float32Array(x.length)
  const diagonals = members.map(({ w, hessian }) => meanOneDiagonal(hessian, w.cols))
  return () => {
    for (let t = 0; t < count; t++) {
      let tile = Math.floor(uniform() * all)
      let m = 0
      while (tile >= tiles[m]) tile -= tiles[m++]
      const { w, scales } = members[m]
      const top = TILE * Math.floor(tile / across)
      const left = from + TILE * (tile % across)
      for (let i = 0; i < TILE_WEIGHTS; i++) {
        const row = top + Math.floor(i / TILE)
        const col = left + (i % TILE)
        const scale = scales[scales.length > 1 ? row : 0]
        x[t * TILE_WEIGHTS + i] = scale > 0 ? w.data[row * w.cols + col] / scale : 0
        importance[t * TILE_WEIGHTS + i] = diagonals[m][col]
      }
    }
    return { x, importance }
  }
}

function meanOneDiagonal(hessian: Matrix | undefined, cols: number): Float32Array {
  const diagonal = new Float32Array(cols).fill(1)
  if (!hessian) return diagonal
  let sum = 0
  for (let c = 0; c < cols; c++) sum += hessian.data[c * (cols + 1)]
  return sum > 0 ? diagonal.map((_, c) => (hessian.data[c * (cols + 1)] * cols) / sum) : diagonal
}
