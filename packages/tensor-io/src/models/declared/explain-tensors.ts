import { ReallmError } from '../../core/errors.ts'
import { listed } from '../../core/listed.ts'
import { plainName } from '../plain-name.ts'
import { recognised } from './layouts.ts'
import { isInside } from './unused-tensors.ts'

export interface Missing {
  readonly spec: string
  /** Tensors of the model that are not there, and how many it has. */
  readonly missing: readonly string[]
  readonly wanted: number
  /** Stored tensors that the model does not use. */
  readonly unused: readonly string[]
  readonly layers: number
}

/** Why tensors are missing, and the way out, as far as what is there instead tells. */
export function missingTensors({ spec, missing, wanted, unused, layers }: Missing): ReallmError {
  const what = `${spec}: missing ${listed(missing)}`
  const refuse = (why: string, hint: string) => new ReallmError('bad-file', `${what}: ${why}`, { hint })
  if (missing.length === 1 && missing[0] === 'lm_head.weight') {
    return refuse(
      'there is no output head',
      'if the embedding is the head, set tie_word_embeddings to true in config.json',
    )
  }
  const inside = unused.filter(name => isInside(plainName(name), layers))
  const known = recognised(inside.length > 0 || missing.length < wanted ? inside : unused)
  if (known) return refuse(`there is ${known.name} instead, which belongs to ${known.what}`, known.hint)
  const there = layersThere(missing, layers)
  if (there !== undefined) {
    return refuse(
      `the configuration has ${layers} layers, the weights ${there}`,
      'is config.json that of another model, or is a shard missing?',
    )
  }
  if (unused.length > 0) {
    const hint =
      missing.length === wanted
        ? 'the weights have the names of another architecture, or of a wrapper that is not known: rename them, or save the model again'
        : 'the weights do not fit the configuration, or a file is missing'
    return refuse(`there is ${listed(unused.map(plainName))} instead`, hint)
  }
  return new ReallmError('bad-file', what, {
    hint: 'the weights do not fit the configuration, or a file is missing',
  })
}

/** How many layers are there, when all that is missing are layers after them. */
function layersThere(missing: readonly string[], layers: number): number | undefined {
  const numbers = missing.map(name => Number(/^model\.layers\.(\d+)\./.exec(name)?.[1] ?? -1))
  const first = Math.min(...numbers)
  return first > 0 && new Set(numbers).size === layers - first ? first : undefined
}

/** What tensors belong to that the model computes with and the configuration has no place for. */
export function tensorsWithoutPlace(spec: string, inside: readonly string[]): ReallmError {
  const known = recognised(inside)
  const what = known
    ? `${known.name}, which belongs to ${known.what}`
    : `${listed(inside)}, which the configuration has no place for`
  return new ReallmError('unsupported', `${spec}: it holds ${what}`, {
    hint: known?.hint ?? 'is config.json that of another model? A family with such tensors is not supported',
  })
}
