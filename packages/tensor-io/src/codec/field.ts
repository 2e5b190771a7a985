/** A parameter of a codec, as plain data: it may have what any of these allow. */
export interface Field {
  /** Whole numbers from `least` to `most`, both allowed. */
  readonly whole?: readonly [least: number, most?: number]
  /** Numbers from `least` or above `above`, to `most`. */
  readonly number?: { readonly least?: number; readonly above?: number; readonly most?: number }
  /** These values. */
  readonly of?: readonly (string | number | boolean)[]
  /** One to `most` values, each of which `each` allows. */
  readonly list?: { readonly each: Field; readonly most: number }
  /** What another field allows. */
  readonly like?: Field
  /** The value when it is left out. */
  readonly default?: unknown
  /** It may be left out, and its meaning then follows from the matrix. */
  readonly optional?: true
}

/** The parameters of a codec by their names. */
export type Fields = Readonly<Record<string, Field>>

type ValueOf<F> =
  | (F extends { whole: unknown } | { number: unknown } ? number : never)
  | (F extends { of: readonly (infer T)[] } ? T : never)
  | (F extends { list: { each: infer E } } ? readonly ValueOf<E>[] : never)
  | (F extends { like: infer L } ? ValueOf<L> : never)
  | (Field extends F ? unknown : never)
type DefaultedOf<F extends Fields> = {
  [K in keyof F]: F[K] extends { default: unknown } ? K : never
}[keyof F]
type OptionalOf<F extends Fields> = { [K in keyof F]: F[K] extends { optional: true } ? K : never }[keyof F]

/** Parameters as a caller gives them. */
export type GivenParams<F extends Fields> = {
  readonly [K in keyof F as K extends OptionalOf<F> | DefaultedOf<F> ? never : K]: ValueOf<F[K]>
} & {
  readonly [K in keyof F as K extends OptionalOf<F> | DefaultedOf<F> ? K : never]?: ValueOf<F[K]> | undefined
}

/** Parameters with the defaults filled in. */
export type FullParams<F extends Fields> = GivenParams<F> & {
  readonly [K in keyof F as K extends DefaultedOf<F> ? K : never]: ValueOf<F[K]>
}

/** Whether a field allows a value. */
export function allows({ whole, number, of, list, like }: Field, value: unknown): boolean {
  if (of?.includes(value as string)) return true
  if (like && allows(like, value)) return true
  if (list && Array.isArray(value)) {
    return value.length > 0 && value.length <= list.most && value.every(v => allows(list.each, v))
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) return false
  if (whole && Number.isSafeInteger(value) && value >= whole[0] && value <= (whole[1] ?? value)) return true
  const { least = value, above = -Infinity, most = value } = number ?? { most: -Infinity }
  return value >= least && value > above && value <= most
}

/** What a field allows, in words: `a whole number from 1 to 8`. */
export function wordsOf({ whole, number, of = [], list, like }: Field): string {
  const words = of.map(value => JSON.stringify(value))
  const upTo = (most: number | undefined) => (most === undefined ? '' : ` to ${most}`)
  if (whole) words.push(`a whole number from ${whole[0]}${upTo(whole[1])}`)
  if (number) {
    const { above, least, most } = number
    words.push(
      above === undefined
        ? `a number from ${least}${upTo(most)}`
        : `a number above ${above}${most === undefined ? '' : `, at most ${most}`}`,
    )
  }
  if (list) words.push(`up to ${list.most} of these: ${wordsOf(list.each)}`)
  if (like) words.push(wordsOf(like))
  return words.join(' or ')
}
