/** One Kronecker factor of a transform; without a matrix it is Sylvester's, of a power of two. */
export interface HadamardFactor {
  readonly kind: 'sylvester' | 'paley' | 'dct'
  readonly size: number
  /** `[size, size]`, orthogonal, row-major. */
  readonly matrix?: Float32Array
}

const plans = new Map<number, readonly HadamardFactor[]>()

/**
 * The orthogonal transform of width n as Kronecker factors, fastest-changing axis first: Hadamard matrices by Paley's
 * constructions for the odd part where powers of two suffice (576 = 4·12·12, 640 = 32·20), Sylvester's for the power of
 * two that is left, a cosine transform for an odd part that has no Hadamard matrix.
 */
export function hadamardPlan(n: number): readonly HadamardFactor[] {
  let plan = plans.get(n)
  if (!plan) plans.set(n, (plan = makePlan(n)))
  return plan
}

function makePlan(n: number): HadamardFactor[] {
  let odd = n
  while (odd % 2 === 0) odd /= 2
  const orders = paleyOrders(odd, n / odd) ?? []
  const covered = orders.reduce((product, order) => product * order, 1)
  const factors: HadamardFactor[] = orders.map(size => ({ kind: 'paley', size, matrix: paleyMatrix(size)! }))
  const rest = n / covered
  const power = orders.length > 0 || odd === 1 ? rest : n / odd
  if (power > 1 || n === 1) factors.unshift({ kind: 'sylvester', size: power })
  if (power < rest) factors.push({ kind: 'dct', size: rest / power, matrix: cosineMatrix(rest / power) })
  return factors
}

/** Orders 4·t whose t multiply to `odd`, as few and small as possible, using at most `power` of twos. */
function paleyOrders(odd: number, power: number): number[] | undefined {
  if (odd === 1) return []
  let best: number[] | undefined
  for (let t = 3; t <= odd; t += 2) {
    if (odd % t !== 0 || power < 4 || !paleyMatrix(4 * t)) continue
    const others = paleyOrders(odd / t, power / 4)
    if (others && (!best || cost([4 * t, ...others]) < cost(best))) best = [4 * t, ...others]
  }
  return best
}

const cost = (orders: readonly number[]): number => orders.reduce((sum, order) => sum + order, 0)

/** An orthogonal matrix of entries ±1/√n by Paley's first (n = q + 1) or second (n = 2(q + 1)) construction, q prime. */
function paleyMatrix(n: number): Float32Array | undefined {
  const [first, second] = [n - 1, n / 2 - 1]
  if (first % 4 === 3 && isPrime(first)) {
    const entry = conference(first, -1)
    return scaled(n, (i, j) => entry(i, j) + (i === j ? 1 : 0))
  }
  if (Number.isInteger(second) && second % 4 === 1 && isPrime(second)) {
    const entry = conference(second, 1)
    const half = n / 2
    return scaled(n, (i, j) => {
      const c = entry(i % half, j % half)
      const [low, right] = [i >= half, j >= half]
      if (i % half === j % half) return low && right ? -1 : low || right ? -1 : 1
      return low && right ? -c : c
    })
  }
  return undefined
}

/** Entries of Paley's conference matrix of order q + 1: zero diagonal, border of ones, `sign` in the first column. */
function conference(q: number, sign: 1 | -1): (i: number, j: number) => number {
  const squares = new Set(Array.from({ length: q }, (_, x) => (x * x) % q))
  const character = (x: number) => (x === 0 ? 0 : squares.has(x) ? 1 : -1)
  return (i, j) => {
    if (i === j) return 0
    if (i === 0) return 1
    if (j === 0) return sign
    return character((i - j + q) % q)
  }
}

const scaled = (n: number, entry: (i: number, j: number) => number): Float32Array =>
  Float32Array.from({ length: n * n }, (_, k) => entry(Math.floor(k / n), k % n) / Math.sqrt(n))

/** The orthogonal cosine transform (DCT-II). */
const cosineMatrix = (n: number): Float32Array =>
  Float32Array.from({ length: n * n }, (_, at) => {
    const [k, i] = [Math.floor(at / n), at % n]
    return Math.sqrt((k === 0 ? 1 : 2) / n) * Math.cos((Math.PI * (i + 0.5) * k) / n)
  })

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
  return n > 1
}
