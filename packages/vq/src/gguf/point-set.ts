/**
 * Points as pairs of halves, of which there are few: a search adds up two numbers for each point, looked up by the halves.
 */
export interface PointSet {
  /** Weights of a point. */
  readonly width: number
  /** Values of the points, one after the other. */
  readonly values: Float32Array
  /** Values of the different halves, `width / 2` each. */
  readonly halves: Float32Array
  /** Indices of each point's two halves. */
  readonly parts: Uint16Array
}

const sets = new WeakMap<Float32Array, PointSet>()

/** The same points always give the same set. */
export function pointSet(values: Float32Array, width: number): PointSet {
  const known = sets.get(values)
  if (known) return known
  const half = width / 2
  const found = new Map<string, number>()
  const halves: number[] = []
  const parts = Uint16Array.from({ length: values.length / half }, (_, p) => {
    const part = values.subarray(p * half, (p + 1) * half)
    const key = part.join()
    if (!found.has(key)) {
      found.set(key, found.size)
      halves.push(...part)
    }
    return found.get(key)!
  })
  const made = { width, values, halves: Float32Array.from(halves), parts }
  sets.set(values, made)
  return made
}

const first = new Float64Array(128)
const second = new Float64Array(128)

/** The error of the nearest point to `wanted[from …]`, and its index in `at`. */
export const nearest = { at: 0, error: 0 }

/** Searches all points for that nearest to `wanted[from …]` under `importance[column …]`; the result lies in `nearest`. */
export function searchPoints(
  { width, halves, parts }: PointSet,
  wanted: Float64Array,
  from: number,
  importance: Float32Array,
  column: number,
): void {
  const half = width / 2
  const count = halves.length / half
  errorsOf(first, halves, half, count, wanted, from, importance, column)
  errorsOf(second, halves, half, count, wanted, from + half, importance, column + half)
  let best = 0
  let least = Number.POSITIVE_INFINITY
  for (let p = 0; p < parts.length; p += 2) {
    const error = first[parts[p]] + second[parts[p + 1]]
    if (error < least) {
      least = error
      best = p
    }
  }
  nearest.at = best / 2
  nearest.error = least
}

function errorsOf(
  errors: Float64Array,
  halves: Float32Array,
  half: number,
  count: number,
  wanted: Float64Array,
  from: number,
  importance: Float32Array,
  column: number,
): void {
  for (let h = 0, at = 0; h < count; h++) {
    let error = 0
    for (let i = 0; i < half; i++, at++) {
      const off = wanted[from + i] - halves[at]
      error += importance[column + i] * off * off
    }
    errors[h] = error
  }
}
