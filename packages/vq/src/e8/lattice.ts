/** Weights of a vector. */
export const DIM = 8
const PATTERNS = 256
/** The codebook is the lattice shifted by +¼ and by −¼ in all coordinates (QuIP#, arXiv 2402.04396 §4.2). */
const SHIFT = 0.25

/**
 * Absolute values of the codebook: the 256 shortest vectors of odd halves in 8 dimensions, `[256, 8]`; their squared
 * lengths, whether their sums are odd, and their indices by the digits of `value − ½` in base 3.
 */
const patterns = shortestPatterns()

/**
 * The nearest of 2^16 points of E8 ± ¼ (QuIP#, arXiv 2402.04396 §4.2): |v| is one of 256 patterns of odd halves, the
 * signs make the sum even, and all coordinates are shifted by ¼ or −¼.
 *
 * @param x 8 values from `at`
 * @returns the code: pattern in bits 0–7, signs of coordinates 0–6 in bits 8–14, shift in bit 15
 */
export function nearestE8(x: Float32Array, at: number): number {
  // The nearest lattice point is the answer where the codebook has it, and a lower bound where it does not.
  const up = roundToLattice(x, at, SHIFT)
  const upCode = roundedCode
  const down = roundToLattice(x, at, -SHIFT)
  const downCode = roundedCode
  let best = Number.POSITIVE_INFINITY
  let code = 0
  if (upCode >= 0) {
    best = up
    code = upCode
  }
  if (downCode >= 0 && down < best) {
    best = down
    code = downCode | (1 << 15)
  }
  if (upCode < 0 && up < best) {
    const found = searchCodebook(x, at, SHIFT, best)
    if (found >= 0) {
      best = foundDistance
      code = found
    }
  }
  if (downCode < 0 && down < best) {
    const found = searchCodebook(x, at, -SHIFT, best)
    if (found >= 0) code = found | (1 << 15)
  }
  return code
}

const absolute = new Float32Array(DIM)
const rounded = new Float32Array(DIM)
let roundedCode = -1
let foundDistance = 0

/** Squared distance to the nearest lattice point; `roundedCode` is its code, or −1 where it lies outside the codebook. */
function roundToLattice(x: Float32Array, at: number, shift: number): number {
  let sum = 0
  let farthest = 0
  let largest = -1
  let distance = 0
  for (let i = 0; i < DIM; i++) {
    const y = x[at + i] - shift
    const c = Math.floor(y) + 0.5
    const gap = Math.abs(y - c)
    rounded[i] = c
    sum += c
    distance += gap * gap
    if (gap > largest) {
      largest = gap
      farthest = i
    }
  }
  if (sum & 1) {
    const y = x[at + farthest] - shift
    rounded[farthest] += y > rounded[farthest] ? 1 : -1
    distance += (1 - largest) ** 2 - largest ** 2
  }
  let signs = 0
  let key = 0
  for (let i = DIM - 1; i >= 0; i--) {
    const c = rounded[i]
    const digit = c < 0 ? -c - 0.5 : c - 0.5
    if (c < 0) signs |= 1 << i
    if (digit > 2) {
      roundedCode = -1
      return distance
    }
    key = 3 * key + digit
  }
  const p = patterns.byDigits[key]
  roundedCode = p < 0 ? -1 : p | ((signs & 127) << 8)
  return distance
}

/** The nearest point of the codebook's half with this shift that is nearer than `bound`, or −1. */
function searchCodebook(x: Float32Array, at: number, shift: number, bound: number): number {
  const { values, squares, odd } = patterns
  let signs = 0
  let energy = 0
  for (let i = 0; i < DIM; i++) {
    const y = x[at + i] - shift
    if (y < 0) signs |= 1 << i
    absolute[i] = Math.abs(y)
    energy += y * y
  }
  const signParity = parity(signs)
  const [a, b, c, d, e, f, g, h] = absolute
  let found = -1
  let best = bound
  for (let p = 0, from = 0; p < PATTERNS; p++, from += DIM) {
    let product =
      a * values[from] +
      b * values[from + 1] +
      c * values[from + 2] +
      d * values[from + 3] +
      e * values[from + 4] +
      f * values[from + 5] +
      g * values[from + 6] +
      h * values[from + 7]
    if (energy + squares[p] - 2 * product >= best) continue
    if (odd[p] !== signParity) product -= 2 * absolute[cheapestSign(from)] * values[from + cheapestSign(from)]
    const distance = energy + squares[p] - 2 * product
    if (distance < best) {
      best = distance
      found = p
    }
  }
  if (found < 0) return -1
  foundDistance = best
  if (odd[found] !== signParity) signs ^= 1 << cheapestSign(found * DIM)
  return found | ((signs & 127) << 8)
}

/** The coordinate whose sign costs least to flip, so that an odd sum becomes even. */
function cheapestSign(from: number): number {
  let cheapest = 0
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < DIM; i++) {
    const cost = absolute[i] * patterns.values[from + i]
    if (cost < least) {
      least = cost
      cheapest = i
    }
  }
  return cheapest
}

/** Writes the 8 values of a code, times `scale`, to `out` from `at`; `add` adds them to what is there. */
export function decodeE8(code: number, scale: number, out: Float32Array, at: number, add = false): void {
  const p = code & (PATTERNS - 1)
  const shift = code >>> 15 ? -SHIFT : SHIFT
  let signs = (code >>> 8) & 127
  if (parity(signs) !== patterns.odd[p]) signs |= 128
  for (let i = 0; i < DIM; i++) {
    const v = patterns.values[p * DIM + i]
    const value = scale * ((signs >>> i) & 1 ? shift - v : shift + v)
    out[at + i] = add ? out[at + i] + value : value
  }
}

/** 256 short vectors of E8 for one bit per weight: 0, the 240 of length √2, and 15 of length 2, `[256, 8]`. */
export function shortE8(): Float32Array {
  const vectors: number[][] = []
  const visit = (v: number[], left: number, start: number, step: number): void => {
    if (v.length === DIM) {
      if (v.reduce((sum, c) => sum + c, 0) % 2 === 0) vectors.push(v)
      return
    }
    for (let c = -start; c <= start; c += step) if (c * c <= left) visit([...v, c], left - c * c, start, step)
  }
  visit([], 4, 2, 1)
  visit([], 4, 1.5, 1)
  const length = (v: number[]) => v.reduce((sum, c) => sum + c * c, 0)
  vectors.sort((a, b) => length(a) - length(b))
  return Float32Array.from(vectors.slice(0, PATTERNS).flat())
}

/** 1 where the number of set bits is odd. */
function parity(bits: number): number {
  let x = bits ^ (bits >>> 4)
  x ^= x >>> 2
  return (x ^ (x >>> 1)) & 1
}

function shortestPatterns() {
  const found: { values: number[]; squares: number }[] = []
  const visit = (values: number[], squares: number): void => {
    if (values.length === DIM) {
      found.push({ values, squares })
      return
    }
    for (const c of [0.5, 1.5, 2.5]) if (squares + c * c <= 12) visit([...values, c], squares + c * c)
  }
  visit([], 0)
  // Of the 224 longest vectors 29 fit: those without a large coordinate, spread over the positions of the small ones.
  const largest = ({ values }: { values: number[] }) => Math.max(...values)
  const spread = ({ values }: { values: number[] }) =>
    (37 * values.reduce((key, c) => 2 * key + c - 0.5, 0)) % 61
  const chosen = found
    .sort((a, b) => a.squares - b.squares || largest(a) - largest(b) || spread(a) - spread(b))
    .slice(0, PATTERNS)
  const byDigits = new Int16Array(3 ** DIM).fill(-1)
  chosen.forEach(({ values }, p) => {
    byDigits[values.reduceRight((key, c) => 3 * key + c - 0.5, 0)] = p
  })
  return {
    byDigits,
    values: Float32Array.from(chosen.flatMap(({ values }) => values)),
    squares: Float32Array.from(chosen, ({ squares }) => squares),
    odd: Uint8Array.from(chosen, ({ values }) => values.reduce((sum, c) => sum + c, 0) & 1),
  }
}
