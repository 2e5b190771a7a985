import { ReallmError } from '../core/errors.ts'

/**
 * Rotary position embedding: pair j of a head turns by `position · inverseFrequencies[j]`, cos and sin times `scale`.
 * Where there are fewer pairs than half the head's width, its first dimensions turn.
 */
export interface Rope {
  readonly inverseFrequencies: readonly number[]
  readonly scale: number
  /** Pair j is of the dimensions 2j and 2j + 1, not j and j + pairs. */
  readonly interleaved: boolean
  /** LongRoPE: the frequencies of texts of more than `beyond` positions. */
  readonly long?: { readonly beyond: number; readonly inverseFrequencies: readonly number[] }
  /** Queries at position p count `1 + beta · ln(1 + ⌊p / every⌋)` times; only where whole heads turn. */
  readonly temperature?: { readonly beta: number; readonly every: number }
}

/** Hugging Face's `rope_parameters` (or `rope_scaling` with `rope_theta` put in). */
export interface RopeParameters {
  readonly rope_type?: string
  readonly rope_theta: number
  readonly factor?: number
  readonly original_max_position_embeddings?: number
  readonly low_freq_factor?: number
  readonly high_freq_factor?: number
  readonly attention_factor?: number
  readonly mscale?: number
  readonly mscale_all_dim?: number
  readonly beta_fast?: number
  readonly beta_slow?: number
  readonly truncate?: boolean
  readonly alpha?: number
  readonly partial_rotary_factor?: number
  readonly short_factor?: readonly number[]
  readonly long_factor?: readonly number[]
  readonly llama_4_scaling_beta?: number
  readonly mrope_section?: readonly number[]
}

/** The kinds of rotary embeddings, as `rope_type` names them. */
export const ropeTypes = ['default', 'linear', 'llama3', 'yarn', 'longrope', 'proportional'] as const

/**
 * The frequencies of a rope configuration.
 *
 * @param width dimensions of a head that turn
 * @param maxPositions the model's `max_position_embeddings`, where the parameters don't say otherwise
 * @throws `unsupported` for another `rope_type`
 */
export function rope(parameters: RopeParameters, width: number, maxPositions: number): Rope {
  const { rope_theta, llama_4_scaling_beta: beta } = parameters
  const every = parameters.original_max_position_embeddings ?? maxPositions
  return {
    interleaved: false,
    ...(typeof beta === 'number' && { temperature: { beta, every } }),
    ...frequencies(parameters, width, maxPositions, powers(rope_theta, width)),
  }
}

/** `θ^(−2j/width)` */
const powers = (theta: number, width: number) =>
  Array.from({ length: width / 2 }, (_, j) => theta ** ((-2 * j) / width))

function frequencies(
  parameters: RopeParameters,
  width: number,
  maxPositions: number,
  plain: number[],
): Pick<Rope, 'inverseFrequencies' | 'scale' | 'long'> {
  const type = parameters.rope_type ?? 'default'
  const factor = () => {
    if (typeof parameters.factor === 'number' && parameters.factor > 0) return parameters.factor
    throw new ReallmError('bad-file', `config.json: rope type ${type} needs a positive factor`)
  }
  switch (type) {
    case 'default':
      return { inverseFrequencies: plain, scale: 1 }
    case 'linear':
      return { inverseFrequencies: plain.map(f => f / factor()), scale: 1 }
    case 'llama3':
      return { inverseFrequencies: plain.map(f => f / llama3Divisor(f, factor(), parameters)), scale: 1 }
    case 'yarn':
      return yarn(plain, factor(), parameters, width, maxPositions)
    case 'longrope':
      return longRope(plain, parameters, maxPositions)
    case 'proportional': {
      // The first pairs of the whole head turn, the others stay.
      const turning = Math.floor(((parameters.partial_rotary_factor ?? 1) * width) / 2)
      const by = parameters.factor === undefined ? 1 : factor()
      return { inverseFrequencies: plain.map((f, j) => (j < turning ? f / by : 0)), scale: 1 }
    }
  }
  // Hunyuan's checkpoints call a base that is stretched once and for all dynamic.
  if (type === 'dynamic' && parameters.alpha) {
    const theta = parameters.rope_theta * parameters.alpha ** (width / (width - 2))
    return { inverseFrequencies: powers(theta, width), scale: 1 }
  }
  throw new ReallmError('unsupported', `config.json: rope type ${type} is not supported`, {
    hint: `supported: ${ropeTypes.join(', ')}`,
  })
}

/**
 * cos and sin, `[count, pairs]`, of the positions from `first` on, into the arrays given. `length` is how many positions
 * the whole text has, `queries` whether they are for queries or for keys.
 */
export function rotations(
  rope: Rope,
  { first, count, length, queries }: { first: number; count: number; length: number; queries: boolean },
  cos: Float32Array,
  sin: Float32Array,
): void {
  const { scale, long, temperature } = rope
  const inverse = long && length > long.beyond ? long.inverseFrequencies : rope.inverseFrequencies
  const pairs = inverse.length
  for (let t = 0; t < count; t++) {
    const position = first + t
    const warmth =
      queries && temperature ? 1 + temperature.beta * Math.log1p(Math.floor(position / temperature.every)) : 1
    for (let j = 0; j < pairs; j++) {
      const angle = position * inverse[j]
      cos[t * pairs + j] = scale * warmth * Math.cos(angle)
      sin[t * pairs + j] = scale * warmth * Math.sin(angle)
    }
  }
}

/** Llama 3.1: long wavelengths are stretched by `factor`, short ones kept, in between a linear blend. */
export function llama3Divisor(frequency: number, factor: number, p: Partial<RopeParameters>): number {
  const low = p.low_freq_factor ?? 1
  const high = p.high_freq_factor ?? 4
  const turns = ((p.original_max_position_embeddings ?? 8192) * frequency) / (2 * Math.PI)
  const kept = Math.min(1, Math.max(0, (turns - low) / (high - low)))
  return 1 / ((1 - kept) / factor + kept)
}

/** LongRoPE (arXiv 2402.13753): a divisor for each frequency, another one in texts longer than those first trained on. */
function longRope(plain: number[], p: RopeParameters, maxPositions: number) {
  const beyond = p.original_max_position_embeddings ?? maxPositions
  const divided = (key: 'short_factor' | 'long_factor') => {
    const divisors = p[key]
    if (Array.isArray(divisors) && divisors.length === plain.length && divisors.every(d => d > 0)) {
      return plain.map((f, j) => f / divisors[j])
    }
    throw new ReallmError(
      'bad-file',
      `config.json: rope type longrope needs ${plain.length} positive numbers in ${key}`,
    )
  }
  const factor = p.factor ?? maxPositions / beyond
  return {
    inverseFrequencies: divided('short_factor'),
    long: { beyond, inverseFrequencies: divided('long_factor') },
    scale: p.attention_factor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(beyond))),
  }
}

/** YaRN (arXiv 2309.00071), as transformers computes it. */
function yarn(plain: number[], factor: number, p: RopeParameters, width: number, maxPositions: number) {
  const positions = p.original_max_position_embeddings ?? maxPositions
  const dimension = (turns: number) =>
    (width * Math.log(positions / (turns * 2 * Math.PI))) / (2 * Math.log(p.rope_theta))
  const [first, last] = [dimension(p.beta_fast ?? 32), dimension(p.beta_slow ?? 1)]
  const whole = p.truncate ?? true
  const low = Math.max(0, whole ? Math.floor(first) : first)
  const high = Math.min(width - 1, whole ? Math.ceil(last) : last)
  const inverseFrequencies = plain.map((f, j) => {
    const stretched = Math.min(1, Math.max(0, (j - low) / (high === low ? 0.001 : high - low)))
    return f * (1 - stretched + stretched / factor)
  })
  const scale =
    p.attention_factor ??
    (p.mscale && p.mscale_all_dim
      ? yarnMagnitude(factor, p.mscale) / yarnMagnitude(factor, p.mscale_all_dim)
      : yarnMagnitude(factor))
  return { inverseFrequencies, scale }
}

/** What YaRN multiplies cos and sin by for a factor, unless told otherwise. */
export const yarnMagnitude = (factor: number, weight = 1): number =>
  factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1
