import { nearest, ReallmError } from '@reallm/tensor-io'

/** What an option may be, as `typeof` says; `list` for arrays. */
type Kind = 'boolean' | 'function' | 'list' | 'number' | 'object' | 'string'

/** The options of a function by their names: one kind, or several behind one another. */
export type Options<T> = { readonly [K in keyof Required<T>]: Kind | `${Kind}|${Kind}` }

/**
 * Refuses options that plain JavaScript may misspell or give in another type: they would have no effect.
 *
 * @param of what they are options of
 * @throws `bad-option` naming the option, and the nearest known one or what it has to be
 */
export function checkOptions<T extends object>(of: string, options: T, known: Options<T>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    const kinds: string | undefined = Object.hasOwn(known, name) ? known[name as keyof T] : undefined
    const kind = Array.isArray(value) ? 'list' : typeof value
    if (kinds?.split('|').includes(kind)) continue
    if (kinds) throw new ReallmError('bad-option', `${of}: ${name} is of type ${kind}, not ${kinds}`)
    throw new ReallmError('bad-option', `${of}: there is no option ${name}`, {
      hint: `the nearest name is ${nearest(name, Object.keys(known))}`,
    })
  }
}

/** Options that all texts have. */
export const generateOptions = {
  maxTokens: 'number',
  temperature: 'number',
  topK: 'number',
  topP: 'number',
  minP: 'number',
  repetitionPenalty: 'number',
  seed: 'number',
  stop: 'string|list',
  signal: 'object',
  constraint: 'object',
  onSample: 'function',
} as const
