import { ReallmError } from '@reallm/tensor-io'

/** Fields of a document of a benchmark, checked. */
export interface Field {
  text(name: string): string
  texts(name: string): readonly string[]
  /** A number, or a text of digits. */
  index(name: string): number
  /** Fields of an object within. */
  of(name: string): Field
}

/** Reads the fields of document `line` of `file`; each throws `bad-file` where it is not what it should be. */
export function fieldsOf(document: unknown, file: string, line: number): Field {
  const wrong = (name: string, wanted: string) =>
    new ReallmError('bad-file', `${file}: document ${line} has no ${wanted} "${name}"`, {
      hint: 'it is of another benchmark, or not in the layout of the Hugging Face hub',
    })
  if (typeof document !== 'object' || document === null) {
    throw new ReallmError('bad-file', `${file}: document ${line} is not an object`)
  }
  const record = document as Record<string, unknown>
  return {
    text(name) {
      const value = record[name]
      if (typeof value !== 'string') throw wrong(name, 'text')
      return value
    },
    texts(name) {
      const value = record[name]
      if (!Array.isArray(value) || !value.every(v => typeof v === 'string'))
        throw wrong(name, 'list of texts')
      return value
    },
    index(name) {
      const value = record[name]
      const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
      const whole = typeof number === 'bigint' || typeof number === 'boolean' ? Number(number) : number
      if (typeof whole !== 'number' || !Number.isInteger(whole) || whole < 0) throw wrong(name, 'number')
      return whole
    },
    of: name => fieldsOf(record[name], `${file}, "${name}"`, line),
  }
}
