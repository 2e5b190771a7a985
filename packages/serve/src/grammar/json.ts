import { all, any, byte, later, literal, oneOf, optional, type Rule, repeat } from './rule.ts'

/** Between brackets, commas and values: nothing, a space, or a new line with its indentation. */
const gap = optional(any(literal(' '), all(literal('\n'), repeat(oneOf(' \t'), 0, 24))))
const colon = all(literal(':'), optional(literal(' ')))

const digit = byte([0x30, 0x39])
const hex = byte([0x30, 0x39], [0x41, 0x46], [0x61, 0x66])
const continued = byte([0x80, 0xbf])

/** A character of a text: UTF-8 as the standard allows it, or an escape; halves of surrogate pairs are left out. */
const character = any(
  byte([0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7f]),
  all(byte([0xc2, 0xdf]), continued),
  all(byte([0xe0, 0xe0]), byte([0xa0, 0xbf]), continued),
  all(byte([0xe1, 0xec], [0xee, 0xef]), continued, continued),
  all(byte([0xed, 0xed]), byte([0x80, 0x9f]), continued),
  all(byte([0xf0, 0xf0]), byte([0x90, 0xbf]), continued, continued),
  all(byte([0xf1, 0xf3]), continued, continued, continued),
  all(byte([0xf4, 0xf4]), byte([0x80, 0x8f]), continued, continued),
  all(
    literal('\\'),
    any(
      oneOf('"\\/bfnrt'),
      all(
        literal('u'),
        any(all(byte([0x30, 0x39], [0x41, 0x43], [0x45, 0x46]), hex), all(oneOf('D'), byte([0x30, 0x37]))),
        hex,
        hex,
      ),
    ),
  ),
)

/** A text of so many characters. */
export const string = (least = 0, most = Number.POSITIVE_INFINITY): Rule =>
  all(literal('"'), repeat(character, least, most), literal('"'))

/** An integer of at most 15 digits, which doubles hold. */
export const integer: Rule = any(
  literal('0'),
  all(optional(literal('-')), byte([0x31, 0x39]), repeat(digit, 0, 14)),
)

/** Any number that does not overflow. */
export const number: Rule = all(
  optional(literal('-')),
  any(literal('0'), all(byte([0x31, 0x39]), repeat(digit, 0, 15))),
  optional(all(literal('.'), repeat(digit, 1, 16))),
  optional(all(oneOf('eE'), optional(oneOf('+-')), repeat(digit, 1, 2))),
)

/** A value as `JSON.stringify` writes it. */
export const constant = (value: unknown): Rule => literal(JSON.stringify(value))

/** `[…]` of so many values. */
export function array(item: Rule, least = 0, most = Number.POSITIVE_INFINITY): Rule {
  const more = repeat(all(literal(','), gap, item), Math.max(0, least - 1), most - 1)
  const some = all(item, more, gap)
  const content = most === 0 ? gap : all(gap, least === 0 ? optional(some) : some)
  return all(literal('['), content, literal(']'))
}

/** A property of an object. */
export interface Property {
  readonly key: Rule
  readonly value: Rule
  readonly required: boolean
}

/** `{…}` with properties in this order. */
export function object(properties: readonly Property[]): Rule {
  let rest = { first: gap, later: gap }
  for (const { key, value, required } of [...properties].reverse()) {
    const pair = all(key, colon, value, rest.later)
    const first = all(gap, pair)
    const next = all(literal(','), gap, pair)
    rest = required ? { first, later: next } : { first: any(first, rest.first), later: any(next, rest.later) }
  }
  return all(literal('{'), rest.first, literal('}'))
}

/** `{…}` of values under any keys. */
export function map(value: Rule, key: Rule = string()): Rule {
  const pair = all(key, colon, value)
  const more = repeat(all(literal(','), gap, pair))
  return all(literal('{'), gap, optional(all(pair, more, gap)), literal('}'))
}

/** How deep values of any form may be nested. */
const deepest = 32

/** Any value, by how deep it may be nested. */
const values = new Map<number, Rule>()
function nestedValue(depth: number): Rule {
  const known = values.get(depth)
  if (known) return known
  const inner = later(() => nestedValue(depth - 1))
  const plain = [string(), number, literal('true'), literal('false'), literal('null')]
  const rule = depth > 0 ? any(...plain, map(inner), array(inner)) : any(...plain)
  values.set(depth, rule)
  return rule
}

/** Any JSON value. */
export const anyValue: Rule = later(() => nestedValue(deepest))

/** Any JSON object. */
export const anyObject: Rule = map(anyValue)
