import { ReallmError } from '@reallm/tensor-io'

/** One Kronecker factor of a transform. All are symmetric and orthogonal, so the transform is its own inverse. */
export interface HadamardFactor {
  /** `sylvester`: order 2^k, by butterflies. `paley`: Hadamard of order 12, 20, 28, …. `dct`: DCT-IV, any order. */
  readonly kind: 'sylvester' | 'paley' | 'dct'
  readonly size: number
}

const plans = new Map<number, readonly HadamardFactor[]>()

/**
 * How a width is split: at most one Sylvester factor (last), Paley factors where the width allows, else a DCT of an
 * odd part's size. Every width ≥ 1 has a plan. Largest stride first: index = ((i₀·n₁ + i₁)·n₂ + i₂) ….
 *
 * @example
 * hadamardPlan(576) // paley 12, paley 12, sylvester 4
 */
export function hadamardPlan(size: number): readonly HadamardFactor[] {
  if (!Number.isInteger(size) || size < 1) {
    throw new ReallmError('bad-option', `a Hadamard transform needs a width ≥ 1, got ${size}`)
  }
  const known = plans.get(size)
  if (known) return known
  let odd = size
  let twos = 0
  while (odd % 2 === 0) {
    odd /= 2
    twos++
  }
  const { factors, twosLeft } = split(odd, twos)
  if (twosLeft > 0) factors.push({ kind: 'sylvester', size: 2 ** twosLeft })
  plans.set(size, factors)
  return factors
}

interface Split {
  factors: HadamardFactor[]
  twosLeft: number
  cost: number
}

/** A DCT entry is no ±1: it spreads outliers less evenly, so it costs more than its additions. */
const DCT_PENALTY = 1000
const MAX_PALEY = 512

/** The cheapest way to cover an odd number by Paley orders (using up twos) and DCTs. */
function split(odd: number, twos: number): Split {
  if (odd === 1) return { factors: [], twosLeft: twos, cost: 0 }
  let best: Split | undefined
  for (let part = 3; part <= odd; part += 2) {
    if (odd % part !== 0) continue
    for (const option of optionsFor(part, twos)) {
      const rest = split(odd / part, twos - option.twos)
      const cost = option.cost + rest.cost
      if (!best || cost < best.cost) {
        best = { factors: [option.factor, ...rest.factors], twosLeft: rest.twosLeft, cost }
      }
    }
  }
  return best!
}

function* optionsFor(part: number, twos: number) {
  for (let j = 2; j <= twos && part << j <= MAX_PALEY; j++) {
    const order = part << j
    if (paleyPrime(order)) yield { factor: { kind: 'paley', size: order } as const, twos: j, cost: order }
  }
  yield { factor: { kind: 'dct', size: part } as const, twos: 0, cost: part + DCT_PENALTY }
}

/** The prime that Paley's construction of an order uses: order = 2(q + 1), q ≡ 1 mod 4, or q + 1, q ≡ 3 mod 4. */
function paleyPrime(order: number): number | undefined {
  const second = order / 2 - 1
  if (second % 4 === 1 && isPrime(second)) return second
  const first = order - 1
  if (first % 4 === 3 && isPrime(first)) return first
  return undefined
}

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false
  return n > 1
}

const matrices = new Map<string, Float32Array>()

/** The factor as a dense symmetric orthogonal `[size, size]` matrix. */
export function factorMatrix({ kind, size: order }: HadamardFactor): Float32Array {
  const key = `${kind}${order}`
  const known = matrices.get(key)
  if (known) return known
  const entry = kind === 'sylvester' ? sylvester : kind === 'paley' ? paley(order) : dct(order)
  const scale = kind === 'dct' ? 1 : 1 / Math.sqrt(order)
  const dense = new Float32Array(order * order)
  for (let i = 0; i < order; i++) for (let j = 0; j < order; j++) dense[i * order + j] = entry(i, j) * scale
  matrices.set(key, dense)
  return dense
}

/** The sign of an entry of Sylvester's Hadamard matrices. */
export function sylvester(i: number, j: number): number {
  let bits = i & j
  let sign = 1
  for (; bits; bits &= bits - 1) sign = -sign
  return sign
}

/** DCT-IV: symmetric and orthogonal at every order. */
const dct = (n: number) => (i: number, j: number) =>
  Math.sqrt(2 / n) * Math.cos((Math.PI / n) * (i + 0.5) * (j + 0.5))

function paley(order: number): (i: number, j: number) => number {
  const q = paleyPrime(order)!
  const residues = new Set<number>()
  for (let x = 1; x < q; x++) residues.add((x * x) % q)
  const character = (x: number) => (x % q === 0 ? 0 : residues.has(((x % q) + q) % q) ? 1 : -1)
  // Construction I is skew apart from its diagonal; rows taken in the order −i make it symmetric.
  if (q === order - 1) {
    return (i, j) => {
      if (i === 0 || j === 0) return 1
      const sum = i - 1 + j - 1
      return -character(sum) - (sum % q === 0 ? 1 : 0)
    }
  }
  // Construction II: each entry of the symmetric conference matrix becomes a 2 × 2 block.
  const conference = (i: number, j: number) => {
    if (i === j) return 0
    return i === 0 || j === 0 ? 1 : character(i - j)
  }
  return (i, j) => {
    const c = conference(i >> 1, j >> 1)
    const [a, b] = [i & 1, j & 1]
    if (c === 0) return a === 0 && b === 0 ? 1 : -1
    return a === 1 && b === 1 ? -c : c
  }
}
