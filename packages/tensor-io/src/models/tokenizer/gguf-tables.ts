import { ReallmError } from '../../core/errors.ts'
import type { GgufMetadata } from '../config-from-gguf.ts'

/** The tokenizer's values in GGUF metadata, by their names behind `tokenizer.ggml.`; undefined for what is absent. */
export interface GgufTables {
  /** What errors call the file. */
  readonly name: string
  get(key: string): unknown
  texts(key: string): readonly string[] | undefined
  /** Numbers, one for each of so many tokens where that is given. */
  numbers(key: string, length?: number): readonly number[] | undefined
}

/** Reads tables of a GGUF file; they throw `bad-file` for values of another type or number. */
export function ggufTables(name: string, metadata: GgufMetadata): GgufTables {
  const get = (key: string) => metadata[`tokenizer.ggml.${key}`]
  const refuse = (key: string, what: string) =>
    new ReallmError('bad-file', `${name}: tokenizer.ggml.${key} ${what}`, { hint: 'convert the model again' })
  function table<T>(key: string, kind: string, is: (value: unknown) => value is T): T[] | undefined {
    const values = get(key)
    if (values === undefined) return undefined
    if (Array.isArray(values) && values.every(is)) return values
    throw refuse(key, `is no list of ${kind}`)
  }
  return {
    name,
    get,
    texts: key => table(key, 'texts', value => typeof value === 'string'),
    numbers(key, length) {
      const values = table(key, 'numbers', value => typeof value === 'number')
      if (values && length !== undefined && values.length !== length) {
        throw refuse(key, `has ${values.length} values for ${length} tokens`)
      }
      return values
    },
  }
}
