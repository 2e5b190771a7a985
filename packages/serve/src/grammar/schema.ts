import { ReallmError } from '@reallm/tensor-io'
import { areDisjoint, isSchema, type Schema } from './disjoint.ts'
import * as json from './json.ts'
import { numberWithin } from './number.ts'
import { any, anyOf, later, type Rule } from './rule.ts'

/** Keywords that say nothing about what is valid, and `format`, which the standard calls an annotation. */
const annotations =
  '$schema $id $comment $defs definitions title description default examples deprecated readOnly writeOnly format'.split(
    ' ',
  )

/** Keywords that are heeded, by the type that they belong to. */
const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties', 'propertyNames'],
  array: ['items', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
}

/** Schemas within a schema, at most; and how deep. */
const mostSchemas = 5000
const deepest = 100
/** Alternatives of `oneOf`, each of which is compared with every other. */
const mostDisjoint = 32

/**
 * The grammar of JSON that a JSON schema (draft 2020-12) allows. Texts of the grammar are always valid; not every valid value is
 * one of them: objects have their properties in the schema's order and, where some are declared, no others; integers have
 * at most 15 digits.
 *
 * @throws `unsupported` for keywords that could not be heeded, `bad-option` for what is no schema; both name the place
 * @example
 * schemaRule({ type: 'object', properties: { age: { type: 'integer', minimum: 0 } }, required: ['age'] })
 */
export function schemaRule(root: unknown): Rule {
  const referred = new Map<string, Rule>()
  let left = mostSchemas

  /** @param open references that lead here without a value in between */
  function ruleOf(schema: unknown, at: string, depth: number, open: readonly string[] = []): Rule {
    if (schema === true) return json.anyValue
    if (schema === false) throw bad(at, 'no value is valid')
    if (!isSchema(schema)) throw bad(at, 'it is no schema')
    if (--left < 0 || depth > deepest) throw bad(at, 'the schema is too large')
    const inner = (each: unknown, where: string) => ruleOf(each, `${at}.${where}`, depth + 1)
    if (schema.$ref !== undefined) {
      heed(schema, at, ['$ref'])
      return reference(schema.$ref, at, depth, open)
    }
    for (const keyword of ['anyOf', 'oneOf']) {
      const given = schema[keyword]
      if (given === undefined) continue
      heed(schema, at, [keyword])
      const schemas = listOf(given, `${at}.${keyword}`)
      if (keyword === 'oneOf' && (schemas.length > mostDisjoint || !areDisjoint(schemas))) {
        throw unsupported(at, 'oneOf of schemas that one value may fit', 'use anyOf')
      }
      return any(...schemas.map((each, i) => ruleOf(each, `${at}.${keyword}[${i}]`, depth + 1, open)))
    }
    const types = typesOf(schema, at)
    if (schema.enum !== undefined || 'const' in schema) {
      heed(schema, at, ['enum', 'const', 'type'])
      const values = 'const' in schema ? [schema.const] : listOf(schema.enum, `${at}.enum`)
      const fitting = values.filter(value => types.length === 0 || isOf(types, value))
      if (fitting.length === 0) throw bad(at, 'no value is valid')
      return anyOf(fitting.map(json.constant))
    }
    heed(schema, at, ['type', ...types.flatMap(type => keywordsOf[type])])
    if (types.length === 0) return json.anyValue
    return any(...types.map(type => typed(type, schema, at, inner)))
  }

  function reference(ref: unknown, at: string, depth: number, open: readonly string[]): Rule {
    if (typeof ref !== 'string' || !/^#(\/|$)/.test(ref)) {
      throw unsupported(at, `the reference ${JSON.stringify(ref)}`, 'refer to #/$defs/… of the same schema')
    }
    if (open.includes(ref)) throw bad(at, `${ref} refers to itself, with no object or list in between`)
    if (referred.has(ref)) return later(() => referred.get(ref)!)
    let target: unknown = root
    for (const step of ref.split('/').slice(1)) {
      const name = step.replaceAll('~1', '/').replaceAll('~0', '~')
      target = isSchema(target) && Object.hasOwn(target, name) ? target[name] : undefined
    }
    if (target === undefined) throw bad(at, `${ref} does not lead to a schema`)
    referred.set(ref, json.anyValue)
    const rule = ruleOf(target, ref, depth + 1, [...open, ref])
    referred.set(ref, rule)
    return rule
  }

  return ruleOf(root, '$', 0, ['#'])
}

type Inner = (schema: unknown, where: string) => Rule

function typed(type: string, schema: Schema, at: string, inner: Inner): Rule {
  if (type === 'object') return objectRule(schema, at, inner)
  if (type === 'array') {
    const [least, most] = counts(schema, 'Items', at)
    const item = schema.items === undefined ? json.anyValue : inner(schema.items, 'items')
    return json.array(item, least, most)
  }
  if (type === 'string') return json.string(...counts(schema, 'Length', at))
  if (type === 'boolean') return any(json.constant(true), json.constant(false))
  if (type === 'null') return json.constant(null)
  return numberRule(schema, at, type === 'integer')
}

const text = { type: 'string' }

function objectRule(schema: Schema, at: string, inner: Inner): Rule {
  const { properties = {}, required = [], additionalProperties = true, propertyNames = text } = schema
  if (!isSchema(properties)) throw bad(`${at}.properties`, 'it is no object')
  const names = Object.keys(properties)
  const needed = listOf(required, `${at}.required`, 0)
  for (const name of needed) {
    if (typeof name === 'string' && Object.hasOwn(properties, name)) continue
    throw unsupported(at, `the required property ${JSON.stringify(name)} without a schema`, 'declare it')
  }
  if (
    !isSchema(propertyNames) ||
    propertyNames.type !== 'string' ||
    (propertyNames !== text && names.length > 0)
  ) {
    throw unsupported(at, '"propertyNames" beside properties, or of another type than string', 'leave it out')
  }
  if (names.length === 0 && additionalProperties !== false) {
    return json.map(
      inner(additionalProperties, 'additionalProperties'),
      inner(propertyNames, 'propertyNames'),
    )
  }
  return json.object(
    names.map(name => ({
      key: json.constant(name),
      value: inner(properties[name], `properties.${name}`),
      required: needed.includes(name),
    })),
  )
}

function numberRule(schema: Schema, at: string, integer: boolean): Rule {
  const bound = (keyword: string): number | undefined => {
    const value = schema[keyword]
    if (value === undefined || typeof value === 'number') return value
    throw bad(`${at}.${keyword}`, 'it is no number')
  }
  const [low, high] = [bound('minimum') ?? -Infinity, bound('maximum') ?? Infinity]
  const [above, below] = [bound('exclusiveMinimum') ?? -Infinity, bound('exclusiveMaximum') ?? Infinity]
  const [min, max] = [Math.max(low, above), Math.min(high, below)]
  // all integers that are written have fewer digits
  const isFree = integer ? min <= -1e15 && max >= 1e15 : min === -Infinity && max === Infinity
  if (isFree) return integer ? json.integer : json.number
  const [aboveMin, belowMax] = [above >= low && above > -Infinity, below <= high && below < Infinity]
  const bounds = integer
    ? {
        integer,
        min: aboveMin ? Math.floor(min) + 1 : Math.ceil(min),
        max: belowMax ? Math.ceil(max) - 1 : Math.floor(max),
      }
    : { integer, min, max, aboveMin, belowMax }
  const none = bounds.min > bounds.max || (bounds.min === bounds.max && (aboveMin || belowMax) && !integer)
  if (none || min > 1e15 || max < -1e15) throw bad(at, 'no number lies within the bounds')
  return numberWithin(bounds)
}

function heed(schema: Schema, at: string, keywords: readonly string[]): void {
  for (const keyword of Object.keys(schema)) {
    if (keywords.includes(keyword) || annotations.includes(keyword)) continue
    throw unsupported(
      at,
      `the keyword ${JSON.stringify(keyword)}`,
      'leave it out, and check the answer for it',
    )
  }
}

function typesOf(schema: Schema, at: string): readonly string[] {
  const { type } = schema
  if (type === undefined) return 'properties' in schema ? ['object'] : 'items' in schema ? ['array'] : []
  const types = typeof type === 'string' ? [type] : listOf(type, `${at}.type`)
  return types.map(each => {
    if (typeof each === 'string' && Object.hasOwn(keywordsOf, each)) return each
    throw bad(`${at}.type`, `${JSON.stringify(each)} is no type`)
  })
}

function isOf(types: readonly string[], value: unknown): boolean {
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  return types.includes(type) || (types.includes('integer') && Number.isInteger(value))
}

function listOf(value: unknown, at: string, least = 1): readonly unknown[] {
  if (Array.isArray(value) && value.length >= least) return value
  throw bad(at, 'it is no list')
}

/** The bounds `min…` and `max…`, which are whole numbers. */
function counts(schema: Schema, of: 'Items' | 'Length', at: string): [number, number] {
  const { [`min${of}`]: least = 0, [`max${of}`]: most = Infinity } = schema
  for (const value of [least, most]) {
    if (typeof value === 'number' && value >= 0 && (Number.isInteger(value) || value === Infinity)) continue
    throw bad(at, `min${of} and max${of} have to be whole numbers`)
  }
  if (Number(least) > Number(most)) throw bad(at, `min${of} is over max${of}`)
  return [Number(least), Number(most)]
}

const bad = (at: string, what: string) => new ReallmError('bad-option', `the JSON schema at ${at}: ${what}`)

const unsupported = (at: string, what: string, hint: string) =>
  new ReallmError('unsupported', `the JSON schema at ${at}: ${what} is not supported`, { hint })
