import { ReallmError } from '../core/errors.ts'

/** Rotary position embedding: pair j of a head turns by `position · inverseFrequencies[j]`, cos and sin times `scale`. */
export interface Rope {
  readonly inverseFrequencies: readonly number[]
  readonly scale: number
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
}

export const ropeTypes = ['default', 'linear', 'llama3', 'yarn'] as const

/**
 * The frequencies of a rope configuration.
 *
 * @param width dimensions of a head that turn
 * @param maxPositions the model's `max_position_embeddings`, where the parameters don't say otherwise
 * @throws `unsupported` for another `rope_type`
 */
export function rope(parameters: RopeParameters, width: number, maxPositions: number): Rope {
  const type = parameters.rope_type ?? 'default'
  const plain = Array.from({ length: width / 2 }, (_, j) => parameters.rope_theta ** ((-2 * j) / width))
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
    default:
      throw new ReallmError('unsupported', `config.json: rope type ${type} is not supported`, {
        hint: `supported: ${ropeTypes.join(', ')}`,
      })
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

/** YaRN (arXiv 2309.00071), as transformers computes it. */
function yarn(plain: number[], factor: number, p: RopeParameters, width: number, maxPositions: number): Rope {
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
