import { ReallmError } from '../../core/errors.ts'
import { checkPattern } from '../check-pattern.ts'
import { wordSplitters } from './word-splitters.ts'

type Json = Readonly<Record<string, unknown>>

/** Ids of tokens are below this, so that a table of them can be made. */
const mostTokens = 1 << 24
const deepest = 32

const knownPatterns: ReadonlySet<unknown> = new Set(wordSplitters.flatMap(({ patterns }) => patterns))

/**
 * Checks the parts of a `tokenizer.json` that a tokenizer is made of, before anything is made of them.
 *
 * @param name what errors call the file
 * @throws `bad-file` naming the part that has another form; `unsupported` for patterns that could take for ever
 */
export function checkTokenizer(name: string, tokenizer: Json): void {
  const refuse = (what: string) =>
    new ReallmError('bad-file', `${name}: ${what}`, { hint: 'download the file again' })
  const { model, added_tokens: added } = tokenizer
  if (!isObject(model)) throw refuse('there is no model')
  checkVocab(model.vocab, refuse)
  if (model.type === 'BPE' || model.merges !== undefined) {
    if (!Array.isArray(model.merges) || !model.merges.every(isMerge)) {
      throw refuse('merges is no list of pairs of tokens')
    }
  }
  if ((added ?? undefined) !== undefined && !(Array.isArray(added) && added.every(isToken))) {
    throw refuse('added_tokens is no list of tokens with a content and an id')
  }
  for (const place of ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder']) {
    checkPart(name, place, tokenizer[place], 0, refuse)
  }
}

type Refuse = (what: string) => ReallmError

function checkVocab(vocab: unknown, refuse: Refuse): void {
  if (Array.isArray(vocab)) {
    const bad = vocab.findIndex(
      each => !Array.isArray(each) || typeof each[0] !== 'string' || typeof each[1] !== 'number',
    )
    if (bad >= 0) throw refuse(`entry ${bad} of the vocabulary is no token with a score`)
    return
  }
  if (!isObject(vocab)) throw refuse('the vocabulary is no table of tokens')
  for (const token in vocab) {
    const id = vocab[token]
    if (!isId(id))
      throw refuse(`the token ${JSON.stringify(token.slice(0, 60))} has the id ${JSON.stringify(id)}`)
  }
}

/** Every pattern, however deep. */
function checkPart(name: string, place: string, part: unknown, depth: number, refuse: Refuse): void {
  if (part === undefined || part === null) return
  if (typeof part !== 'object' || depth > deepest) throw refuse(`the ${place} is no part of a tokenizer`)
  const { type, pattern, length } = part as Json
  if ((pattern ?? undefined) !== undefined || type === 'Split' || type === 'Replace') {
    const { Regex, String: text } = Object(pattern) as Json
    if (typeof (Regex ?? text) !== 'string') throw refuse(`the ${place} has a pattern that is no text`)
    if (typeof Regex === 'string' && !knownPatterns.has(Regex)) checkPattern(name, Regex, { nested: true })
  }
  if (length !== undefined && !(Number.isInteger(length) && (length as number) > 0)) {
    throw refuse(`the ${place} has the length ${JSON.stringify(length)}`)
  }
  for (const key of ['normalizers', 'pretokenizers', 'processors', 'decoders']) {
    const inner = (part as Json)[key] ?? []
    if (!Array.isArray(inner)) throw refuse(`${key} of the ${place} is no list`)
    for (const each of inner) {
      if (!isObject(each)) throw refuse(`${key} of the ${place} holds what is no part of a tokenizer`)
      checkPart(name, place, each, depth + 1, refuse)
    }
  }
}

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isId = (id: unknown): boolean =>
  typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < mostTokens
const isToken = (token: unknown): boolean =>
  isObject(token) && typeof token.content === 'string' && token.content !== '' && isId(token.id)
const isMerge = (merge: unknown): boolean =>
  typeof merge === 'string' ||
  (Array.isArray(merge) && merge.length === 2 && merge.every(part => typeof part === 'string'))
