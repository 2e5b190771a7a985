import { ReallmError } from '../../core/errors.ts'
import { isOff } from '../declared/off.ts'
import { approximated, knownKeys, knownParts } from './known-parts.ts'

type Json = Readonly<Record<string, unknown>>

/** Where parts hold further parts of their kind. */
const inner = ['normalizers', 'pretokenizers', 'processors', 'decoders']

/**
 * Goes through a `tokenizer.json`: what would change ids is known here or refused, the rest is returned in phrases.
 *
 * @throws `unsupported` naming a part, or an option and its value, that would give other ids
 */
export function reviewTokenizer(tokenizer: Json): string[] {
  const unknown = Object.keys(tokenizer).filter(key => !knownKeys.has(key) && !isOff(tokenizer[key]))
  for (const [place, types] of Object.entries(knownParts)) {
    for (const part of partsOf(tokenizer[place])) {
      const type = typeof part.type === 'string' ? part.type : place === 'model' ? modelType(part) : undefined
      const options = type === undefined ? undefined : types[type]
      if (!options) throw refuse(`the ${place} ${part.type} is not supported`, Object.keys(types))
      const differs = approximated[`${place} ${type}`]
      if (differs) unknown.push(`${type} (ids may differ for ${differs})`)
      for (const [option, value] of Object.entries(part)) {
        if (option === 'type') continue
        const known = options[option]
        if (known === undefined && !isOff(value)) unknown.push(`${type}.${option}`)
        if (typeof known !== 'function' || known(value, part)) continue
        if (place === 'pre_tokenizer' && hasNothingToSplit(part, tokenizer)) continue
        throw refuse(`${option} ${JSON.stringify(value)} of the ${place} ${type} is not supported`)
      }
    }
  }
  const words = (Array.isArray(tokenizer.added_tokens) ? tokenizer.added_tokens : []).filter(
    token => (Object(token) as Json).single_word === true,
  )
  if (words.length > 0) unknown.push('single_word of added tokens')
  return unknown
}

function partsOf(part: unknown): Json[] {
  if (typeof part !== 'object' || part === null) return []
  const nested = inner.flatMap(key => (part as Json)[key] ?? [])
  return [part as Json, ...nested.flatMap(partsOf)]
}

/** Old files name no type. */
function modelType({ vocab, merges }: Json): string {
  return Array.isArray(vocab) ? 'Unigram' : merges === undefined ? 'WordLevel' : 'BPE'
}

/** Gemma's tokenizer splits at blanks that its normalizer has replaced before. */
function hasNothingToSplit({ pattern }: Json, { normalizer }: Json): boolean {
  const { String: text } = Object(pattern) as { String?: unknown }
  return (
    text !== undefined &&
    partsOf(normalizer).some(
      ({ type, pattern }) => type === 'Replace' && (Object(pattern) as Json).String === text,
    )
  )
}

const refuse = (what: string, known?: readonly string[]) =>
  new ReallmError('unsupported', `tokenizer.json: ${what}: it would give other token ids`, {
    hint: known
      ? `supported: ${known.join(', ')}`
      : 'use token ids made elsewhere (--tokens), or another tokenizer',
  })
