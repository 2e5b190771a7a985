/** A seeded stream of random numbers (xoshiro128**); the same seed gives the same stream everywhere. */
export interface Random {
  /** Uniform in [0, 1). */
  uniform(): number
  /** Uniform integer in [0, n). */
  integer(n: number): number
  /** Standard normal (Box–Muller, both values used). */
  normal(): number
  /** +1 or −1. */
  sign(): number
  /** Uniform 32-bit word. */
  word(): number
  /** The four words of state, to checkpoint and restore. */
  state(): [number, number, number, number]
}

/** A stream from a 32-bit seed, or the continuation of a saved `state()`. */
export function random(seed: number | readonly [number, number, number, number]): Random {
  let [a, b, c, d] = typeof seed === 'number' ? splitmix(seed) : seed
  let spare: number | undefined

  const word = () => {
    const b5 = Math.imul(b, 5)
    const result = Math.imul((b5 << 7) | (b5 >>> 25), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = (d << 11) | (d >>> 21)
    return result
  }
  const uniform = () => (word() >>> 8) / 0x1000000

  return {
    word,
    uniform,
    integer: n => Math.floor(uniform() * n),
    sign: () => (word() & 0x80000000 ? -1 : 1),
    normal() {
      if (spare !== undefined) {
        const value = spare
        spare = undefined
        return value
      }
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()))
      const angle = 2 * Math.PI * uniform()
      spare = radius * Math.sin(angle)
      return radius * Math.cos(angle)
    },
    state: () => [a, b, c, d],
  }
}

/** A seed of its own for a named part of the work, so that order and parallelism don't matter (FNV-1a). */
export function seedFor(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ seed
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

function splitmix(seed: number): [number, number, number, number] {
  let x = seed | 0
  const next = () => {
    x = (x + 0x9e3779b9) | 0
    let z = x
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return z ^ (z >>> 15)
  }
  return [next(), next(), next(), next()]
}
