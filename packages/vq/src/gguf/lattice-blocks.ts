import type { Matrix } from '@reallm/tensor-io'
import { fitStep, type Group } from './fit-group.ts'
import { halfBits, toHalf } from './half.ts'
import type { LatticeType } from './lattice-types.ts'
import { type NearestLevel, nearestLevel } from './nearest-level.ts'
import { nearestPoint, noPoint } from './nearest-point.ts'
import type { Blocks } from './scalar-blocks.ts'

/** What is stored of types with points of a set for vectors of weights. */
export function latticeBlocks(
  type: LatticeType,
  [rows, cols]: readonly [number, number],
  block: number,
  importance: Float32Array,
): Blocks {
  const { group, unit, most, width, shift } = type
  const perRow = cols / group
  const perBlock = block / group
  const blocks = cols / block
  const vectors = cols / 8
  const pointsOf = 8 / width
  const points = new Uint16Array(rows * vectors * pointsOf)
  const signs = new Uint8Array(rows * vectors)
  const shifts = new Uint8Array(rows * vectors)
  const scales = new Uint8Array(rows * perRow)
  const blockSteps = new Float32Array(rows * blocks)
  const found = noPoint()
  const other = noPoint()
  const levels = levelsOf(type)

  /** The nearest point under the shifts that are open; what is chosen lies in `found`. */
  function search(
    data: Float32Array,
    at: number,
    step: number,
    column: number,
    open: readonly number[],
  ): void {
    nearestPoint(type, data, at, step, importance, column, open[0], found)
    if (open.length === 1) return
    nearestPoint(type, data, at, step, importance, column, open[1], other)
    if (other.error >= found.error) return
    found.points.set(other.points)
    found.values.set(other.values)
    found.signs = other.signs
    found.shift = other.shift
    found.error = other.error
  }

  /** Error of a group under a step. */
  function errorOf(
    data: Float32Array,
    at: number,
    step: number,
    column: number,
    open: readonly number[],
  ): number {
    let error = 0
    for (let i = 0; i < group; i += 8) {
      search(data, at + i, step, column + i, open)
      error += found.error
    }
    return step === 0 ? error : error * step * step
  }

  return {
    group,
    vector: 8,
    startBlock({ data }, b) {
      for (let r = 0; r < rows; r++) {
        let widest = 0
        for (let g = 0; g < perBlock; g++) {
          const at = r * block + g * group
          const of: Group = { values: data, at, size: group, importance, column: b * block + g * group }
          widest = Math.max(widest, Math.abs(fitStep(of, levels, false).step))
        }
        blockSteps[r * blocks + b] = toHalf(widest / (unit * (2 * most + 1)))
      }
    },
    startGroup({ data }: Matrix, g) {
      const column = g * group
      for (let r = 0; r < rows; r++) {
        const step = unit * blockSteps[r * blocks + Math.floor(g / perBlock)]
        if (step === 0) continue
        const of: Group = { values: data, at: r * group, size: group, importance, column }
        const wanted = Math.abs(fitStep(of, levels, false).step) / step
        const middle = Math.max(0, Math.min(most, Math.round((wanted - 1) / 2)))
        let least = Number.POSITIVE_INFINITY
        for (let s = Math.max(0, middle - 1); s <= Math.min(most, middle + 1); s++) {
          for (const open of shift === 'group' ? [[1], [-1]] : shift ? [[1, -1]] : [[0]]) {
            const error = errorOf(data, r * group, step * (2 * s + 1), column, open)
            if (error >= least) continue
            least = error
            scales[r * perRow + g] = s
            shifts.fill(open[0] < 0 ? 1 : 0, (r * cols + column) / 8, (r * cols + column + group) / 8)
          }
        }
      }
    },
    round(values, row, col) {
      const g = Math.floor(col / group)
      for (let r = 0; r < values.length / 8; r++) {
        const at = (row + r) * vectors + col / 8
        const step =
          unit *
          blockSteps[(row + r) * blocks + Math.floor(col / block)] *
          (2 * scales[(row + r) * perRow + g] + 1)
        const open = shift === 'group' ? [shifts[at] ? -1 : 1] : shift ? [1, -1] : [0]
        search(values, 8 * r, step, col, open)
        for (let p = 0; p < pointsOf; p++) points[at * pointsOf + p] = found.points[p]
        signs[at] = found.signs
        shifts[at] = found.shift
        for (let i = 0; i < 8; i++) values[8 * r + i] = step * found.values[i]
      }
    },
    pack(row, b, out, at) {
      const first = row * vectors + (b * block) / 8
      const end = first + block / 8
      type.pack(
        {
          step: halfBits(blockSteps[row * blocks + b]),
          scales: scales.subarray(row * perRow + b * perBlock, row * perRow + (b + 1) * perBlock),
          points: points.subarray(first * pointsOf, end * pointsOf),
          signs: signs.subarray(first, end),
          shifts: shifts.subarray(first, end),
        },
        out,
        at,
      )
    },
  }
}

/** The levels of single weights: a vector's step is about that of its weights by themselves. */
function levelsOf({ grid, signs }: LatticeType): NearestLevel {
  const sizes = [...new Set(grid())]
  const all = signs ? [...sizes, ...sizes.map(v => -v)] : sizes
  return nearestLevel(all.sort((a, b) => a - b))
}
