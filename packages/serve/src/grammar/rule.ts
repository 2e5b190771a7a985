import type { NumberRule } from './number.ts'

/** What bytes may come: a rule of a grammar. */
export type Rule =
  | { readonly kind: 'byte'; readonly ranges: readonly (readonly [from: number, to: number])[] }
  | { readonly kind: 'all'; readonly rules: readonly Rule[] }
  | { readonly kind: 'any'; readonly rules: readonly Rule[] }
  | { readonly kind: 'repeat'; readonly rule: Rule; readonly least: number; readonly most: number }
  /** Rules that contain themselves are looked up when they are needed. */
  | { readonly kind: 'later'; readonly rule: () => Rule }
  | NumberRule

/** One byte of any of the ranges, ends included. */
export const byte = (...ranges: (readonly [number, number])[]): Rule => ({ kind: 'byte', ranges })
/** One rule after the other. */
export const all = (...rules: Rule[]): Rule => ({ kind: 'all', rules })
/** One of the rules. */
export const any = (...rules: Rule[]): Rule => anyOf(rules)
/** One of any number of rules. */
export const anyOf = (rules: readonly Rule[]): Rule => ({ kind: 'any', rules })
/** A rule again and again; it may not be one that takes no bytes. */
export const repeat = (rule: Rule, least = 0, most = Number.POSITIVE_INFINITY): Rule => ({
  ...{ kind: 'repeat', rule, least, most },
})
export const optional = (rule: Rule): Rule => repeat(rule, 0, 1)
export const later = (rule: () => Rule): Rule => ({ kind: 'later', rule })
/** A text as it is, in UTF-8. */
export const literal = (text: string): Rule => ({
  kind: 'all',
  rules: Array.from(new TextEncoder().encode(text), code => byte([code, code])),
})
/** One of the characters, all of them ASCII. */
export const oneOf = (characters: string): Rule =>
  byte(...Array.from(characters, (c): [number, number] => [c.charCodeAt(0), c.charCodeAt(0)]))
