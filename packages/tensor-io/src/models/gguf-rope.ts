import { ReallmError } from '../core/errors.ts'
import type { GgufValue } from '../formats/gguf/values.ts'
import { llama3Divisor, type RopeParameters, rope, yarnMagnitude } from './rope.ts'

type Lookup = (key: string) => unknown

/** Tensors of a GGUF file that are about its rotary embedding. */
export const ropeTensors = [
  'rope_freqs.weight',
  'rope_factors_short.weight',
  'rope_factors_long.weight',
] as const
/** Factors of rotary frequencies that a GGUF file stores as tensors. */
export type RopeTensors = Readonly<Partial<Record<(typeof ropeTensors)[number], Float32Array<ArrayBuffer>>>>

/**
 * The `rope_scaling` that a GGUF file means, by llama.cpp's reading: a factor without a type is linear, and the magnitude
 * that YaRN takes from its factor comes on top of `attn_factor`.
 *
 * @param get metadata of the architecture
 * @param tensors contents of `ropeTensors`: Llama 3's scaling, or LongRoPE's divisors
 * @throws `unsupported` for what has no form in a config.json
 */
export function ropeScalingFromGguf(get: Lookup, tensors: RopeTensors, headDim: number): object | null {
  const number = (key: string) => (get(key) === undefined ? undefined : Number(get(key)))
  const factors = tensors['rope_freqs.weight']
  const [short, long] = [tensors['rope_factors_short.weight'], tensors['rope_factors_long.weight']]
  if (short && long) {
    return {
      rope_type: 'longrope',
      short_factor: [...short],
      long_factor: [...long],
      attention_factor: number('rope.scaling.attn_factor') ?? 1,
      ...present({ original_max_position_embeddings: number('rope.scaling.original_context_length') }),
    }
  }
  if (factors?.some(divisor => divisor >= NEVER)) return proportional(factors)
  if (factors) return llama3Scaling(factors, number('rope.freq_base') ?? 10_000, headDim)
  const factor = number('rope.scaling.factor') ?? number('rope.scale_linear')
  const type = get('rope.scaling.type') ?? 'linear'
  const attention = number('rope.scaling.attn_factor') ?? 1
  if (type !== 'yarn') {
    if (attention !== 1) throw refuse(`rope scaling ${type} with rope.scaling.attn_factor ${attention}`)
    const plain = type === 'none' || (type === 'linear' && (!factor || factor === 1))
    return plain ? null : { rope_type: type, factor }
  }
  if ((number('rope.scaling.yarn_ext_factor') ?? 1) !== 1) {
    throw refuse(`rope.scaling.yarn_ext_factor ${number('rope.scaling.yarn_ext_factor')}`)
  }
  return {
    rope_type: type,
    factor,
    ...present({
      original_max_position_embeddings: number('rope.scaling.original_context_length'),
      beta_fast: number('rope.scaling.yarn_beta_fast'),
      beta_slow: number('rope.scaling.yarn_beta_slow'),
      attention_factor:
        number('rope.scaling.yarn_attn_factor') ??
        (attention === 1 ? undefined : attention * yarnMagnitude(factor ?? 1)),
    }),
  }
}

/** Divisor of frequencies that do not turn. */
const NEVER = 1e30

const proportional = (factors: Float32Array) => ({
  rope_type: 'proportional',
  partial_rotary_factor: factors.filter(divisor => divisor < NEVER).length / factors.length,
  ...(factors[0] !== 1 && { factor: factors[0] }),
})

const present = (values: Record<string, number | undefined>) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))

const refuse = (what: string) => new ReallmError('unsupported', `GGUF metadata: ${what} is not supported`)

/** What llama.cpp needs to know of a rope: metadata, and contents of tensors. */
export interface GgufRope {
  readonly metadata: Readonly<Record<string, GgufValue>>
  readonly tensors: RopeTensors
}

/**
 * How GGUF says a rope.
 *
 * @throws `unsupported` for another type of scaling
 */
export function ropeToGguf(parameters: RopeParameters, headDim: number, maxPositions: number): GgufRope {
  const real = (value: number): GgufValue => ({ type: 'float32', value })
  const type = parameters.rope_type ?? 'default'
  const base = { 'rope.freq_base': real(parameters.rope_theta) }
  const { inverseFrequencies, scale } = rope(parameters, headDim, maxPositions)
  const whole = (value: number): GgufValue => ({ type: 'uint32', value })
  const original = parameters.original_max_position_embeddings ?? maxPositions
  const scaling = (factor: number) => ({
    ...base,
    'rope.scaling.type': { type: 'string', value: type } as const,
    'rope.scaling.factor': real(factor),
  })
  switch (type) {
    case 'default':
      return { metadata: base, tensors: {} }
    case 'linear':
      return { metadata: scaling(parameters.factor!), tensors: {} }
    case 'llama3': {
      const plain = rope({ rope_theta: parameters.rope_theta }, headDim, maxPositions).inverseFrequencies
      const factors = Float32Array.from(plain, (f, j) => f / inverseFrequencies[j])
      return { metadata: base, tensors: { 'rope_freqs.weight': factors } }
    }
    case 'yarn': {
      const factor = parameters.factor!
      return {
        metadata: {
          ...scaling(factor),
          'rope.scaling.original_context_length': whole(original),
          'rope.scaling.attn_factor': real(scale / yarnMagnitude(factor)),
        },
        tensors: {},
      }
    }
    case 'longrope':
      return {
        metadata: {
          ...base,
          'rope.scaling.original_context_length': whole(original),
          'rope.scaling.attn_factor': real(scale),
        },
        tensors: {
          'rope_factors_short.weight': Float32Array.from(parameters.short_factor!),
          'rope_factors_long.weight': Float32Array.from(parameters.long_factor!),
        },
      }
    case 'proportional': {
      const divisors = inverseFrequencies.map(f => (f === 0 ? NEVER : (parameters.factor ?? 1)))
      return { metadata: base, tensors: { 'rope_freqs.weight': Float32Array.from(divisors) } }
    }
    case 'dynamic':
      // Only the base is another one.
      return {
        metadata: { 'rope.freq_base': real(inverseFrequencies[1] ** (-headDim / 2)) },
        tensors: {},
      }
    default:
      throw new ReallmError('unsupported', `rope scaling ${type} cannot be written to GGUF`, {
        hint: 'convert to safetensors instead',
      })
  }
}

interface Llama3 {
  readonly low_freq_factor: number
  readonly high_freq_factor: number
  readonly original_max_position_embeddings: number
}

/** llama.cpp stores the quotients of frequencies that Llama 3's scaling comes to; this finds its parameters. */
function llama3Scaling(factors: Float32Array, theta: number, headDim: number): object | null {
  const factor = Math.max(...factors)
  if (factor === 1) return null
  const frequencies = Array.from(factors, (_, j) => theta ** ((-2 * j) / headDim))
  for (const exact of llama3Candidates(factors, frequencies, factor)) {
    for (const candidate of [rounded(exact), exact]) {
      const fits = factors.every(
        (stored, j) => Math.abs(stored / llama3Divisor(frequencies[j], factor, candidate) - 1) < 1e-5,
      )
      if (fits) return { rope_type: 'llama3', factor, ...candidate }
    }
  }
  throw new ReallmError('unsupported', 'rope_freqs.weight is not the rope scaling of Llama 3')
}

/**
 * What is kept of a frequency, `1 / quotient = (1 − kept) / factor + kept`, is `(original · turns − low) / (high − low)`
 * between those that are stretched and those that stay. Only quotients of the three matter, so that low is 1.
 */
function* llama3Candidates(
  factors: Float32Array,
  frequencies: readonly number[],
  factor: number,
): Generator<Llama3> {
  const standard = { low_freq_factor: 1, high_freq_factor: 4 }
  yield { ...standard, original_max_position_embeddings: 8192 }
  const turns = frequencies.map(f => f / (2 * Math.PI))
  const kept = Array.from(factors, stored => (1 / stored - 1 / factor) / (1 - 1 / factor))
  const blended = [...kept.keys()].filter(j => kept[j] > 1e-4 && kept[j] < 1 - 1e-4)
  if (blended.length === 0) {
    const [first, before] = [kept.findIndex(k => k < 0.5), kept.findLastIndex(k => k > 0.5)]
    yield {
      low_freq_factor: 1,
      high_freq_factor: before < 0 ? 4 : turns[before] / turns[first],
      original_max_position_embeddings: 1 / turns[first],
    }
  } else if (blended.length === 1) {
    const [j] = blended
    yield { ...standard, original_max_position_embeddings: (3 * kept[j] + 1) / turns[j] }
  } else {
    const [i, j] = [blended[0], blended.at(-1)!]
    const slope = (kept[i] - kept[j]) / (turns[i] - turns[j])
    const width = 1 / (slope * turns[i] - kept[i])
    yield {
      low_freq_factor: 1,
      high_freq_factor: 1 + width,
      original_max_position_embeddings: slope * width,
    }
  }
}

const rounded = (exact: Llama3): Llama3 => ({
  ...exact,
  high_freq_factor: Math.round(exact.high_freq_factor * 1000) / 1000,
  original_max_position_embeddings: Math.round(exact.original_max_position_embeddings),
})
