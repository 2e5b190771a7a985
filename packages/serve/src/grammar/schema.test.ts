import { random } from '@reallm/tensor-io'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { GrammarConstraint } from './constraint.ts'
import { anyObject } from './json.ts'
import type { Rule } from './rule.ts'
import { schemaRule } from './schema.ts'
import { Vocabulary } from './vocabulary.ts'

const eos = 256
/** Every byte, and tokens that reach over the borders of rules. */
const texts = [...Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)), undefined]
texts.push(
  '{"',
  '":',
  '": "',
  '", "',
  '"}',
  '}]',
  ', ',
  '[{',
  '12',
  '-0',
  'true',
  'null',
  '\\u00',
  'Ã©',
  '.5',
)
const vocabulary = new Vocabulary(texts, [eos])

/** What a model writes that has no preference, apart from ending where it may. */
function written(rule: Rule, seed: number): string {
  const constraint = new GrammarConstraint(rule, vocabulary)
  const draws = random(seed)
  let bytes = ''
  for (let tokens = 0; tokens < 5000; tokens++) {
    if (constraint.allows(eos) && draws.uniform() < 0.5) return Buffer.from(bytes, 'latin1').toString()
    // few spaces and letters, so that texts end
    const ids = constraint
      .allowed()
      .filter(id => id !== eos && !(/^[ \n\t]$/.test(texts[id]!) && draws.uniform() < 0.9))
    const closing = ids.filter(id => /^["}\]]/.test(texts[id]!))
    const from = closing.length > 0 && draws.uniform() < 0.5 ? closing : ids
    if (from.length === 0) return Buffer.from(bytes, 'latin1').toString()
    const id = from[draws.integer(from.length)]
    expect(constraint.allows(id)).toBe(true)
    constraint.accept(id)
    bytes += texts[id]
  }
  throw new Error(`no end after ${bytes}`)
}

/** Whether a text is one of the grammar. */
function accepts(rule: Rule, text: string): boolean {
  const constraint = new GrammarConstraint(rule, vocabulary)
  return (
    [...Buffer.from(text)].every(byte => {
      const fits = constraint.allows(byte)
      constraint.accept(byte)
      return fits
    }) && constraint.allows(eos)
  )
}

const seeds = Array.from({ length: 60 }, (_, i) => i)
type Tree = { value: number; children: Tree[] }
const tree: z.ZodType<Tree> = z.strictObject({
  value: z.int().min(-3).max(40),
  get children() {
    return z.array(tree).max(2)
  },
})

describe('what a schema allows', () => {
  it.each(
    Object.entries({
      texts: z.strictObject({ name: z.string().min(2).max(5), nick: z.string().max(3).optional() }),
      numbers: z.strictObject({
        a: z.int(),
        b: z.number(),
        c: z.number().min(-1.5).max(0.25),
        d: z.int().gt(7).lt(12),
      }),
      'large and small numbers': z.strictObject({
        a: z.int().min(995).max(1203),
        b: z.number().gt(0).lt(0.004),
      }),
      'negative numbers': z.strictObject({
        a: z.int().min(-120).max(-7),
        b: z.number().max(-0.5),
        c: z.int().lte(0),
      }),
      lists: z
        .array(z.union([z.boolean(), z.null(), z.enum(['one', 'two', 'ö"'])]))
        .min(1)
        .max(4),
      'optional properties': z.strictObject({
        a: z.int().optional(),
        b: z.boolean(),
        c: z.null().optional(),
      }),
      'discriminated objects': z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('circle'), radius: z.number() }),
        z.strictObject({ kind: z.literal('square'), side: z.number() }),
      ]),
      maps: z.record(z.string().max(4), z.int()),
      'trees, which refer to themselves': tree,
      'nested lists': z.array(z.array(z.int().min(0).max(9)).length(2)).max(3),
    }),
  )('is valid: %s', (_, schema) => {
    const rule = schemaRule(z.toJSONSchema(schema))
    for (const seed of seeds) {
      const text = written(rule, seed)
      expect(schema.safeParse(JSON.parse(text)).error, text).toBeUndefined()
    }
  })

  it('is an object where any object is asked for', () => {
    for (const seed of seeds)
      expect(z.looseObject({}).parse(JSON.parse(written(anyObject, seed)))).toBeTruthy()
  })

  it('has what people and models write in it', () => {
    const rule = schemaRule({
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 0, maximum: 130 } },
      required: ['name'],
    })
    expect(accepts(rule, '{"name": "Zoë \\"Z\\" 😀", "age": 130}')).toBe(true)
    expect(accepts(rule, '{\n  "name": "",\n  "age": 7\n}')).toBe(true)
    expect(accepts(rule, '{"name":"a"}')).toBe(true)
    for (const text of [
      '{"age": 7}',
      '{"name": "a", "age": 131}',
      '{"name": "a", "age": -0}',
      '{"name": "a", "x": 1}',
    ])
      expect(accepts(rule, text), text).toBe(false)
    for (const text of [
      '{"name": "\\ud800"}',
      '{"name": "\n"}',
      '{"name": "a",}',
      '{"name": "a"} ',
      '{"name": "a"',
    ])
      expect(accepts(rule, text), text).toBe(false)
  })

  it('has no bytes that are no UTF-8', () => {
    const constraint = new GrammarConstraint(schemaRule({ type: 'string' }), vocabulary)
    constraint.accept(0x22)
    for (const byte of [0x80, 0xc0, 0xc1, 0xf5, 0xff]) expect(constraint.allows(byte)).toBe(false)
    constraint.accept(0xed)
    expect(constraint.allows(0xa0)).toBe(false)
    expect(constraint.allows(0x9f)).toBe(true)
  })

  it('takes numbers as JSON has them', () => {
    const rule = schemaRule({ type: 'number' })
    for (const text of ['0', '-0.5', '12e3', '1.5E-7']) expect(accepts(rule, text), text).toBe(true)
    for (const text of ['01', '.5', '1.', '-', '1e', '1e400', '+1'])
      expect(accepts(rule, text), text).toBe(false)
  })
})

describe('what is refused', () => {
  it.each([
    [{ type: 'string', pattern: '^a' }, 'unsupported', 'at $: the keyword "pattern"'],
    [
      { type: 'object', properties: { a: { type: 'array', uniqueItems: true } } },
      'unsupported',
      'at $.properties.a: the keyword "uniqueItems"',
    ],
    [{ allOf: [{ type: 'string' }] }, 'unsupported', '"allOf"'],
    [{ oneOf: [{ type: 'string' }, { type: 'string', minLength: 2 }] }, 'unsupported', 'oneOf'],
    [{ type: 'object', required: ['a'] }, 'unsupported', 'required property "a"'],
    [{ $ref: 'https://example.com/schema' }, 'unsupported', 'reference'],
    [{ $ref: '#/$defs/a' }, 'bad-option', '#/$defs/a does not lead'],
    [{ type: 'text' }, 'bad-option', '"text" is no type'],
    [{ type: 'integer', minimum: 1.2, maximum: 1.8 }, 'bad-option', 'no number'],
    [{ type: 'integer', minimum: '1' }, 'bad-option', 'minimum'],
    [{ type: 'number', exclusiveMinimum: 1, maximum: 1 }, 'bad-option', 'no number'],
    [{ type: 'array', minItems: 3, maxItems: 2 }, 'bad-option', 'minItems is over maxItems'],
    [{ type: 'string', minLength: -1 }, 'bad-option', 'whole numbers'],
    [{ type: 'string', enum: [1] }, 'bad-option', 'no value'],
    [{ enum: [] }, 'bad-option', 'no list'],
    [false, 'bad-option', 'no value'],
    ['string', 'bad-option', 'no schema'],
    [null, 'bad-option', 'no schema'],
  ])('%j', (schema, code, message) => {
    expect(() => schemaRule(schema)).toThrow(
      expect.objectContaining({ name: 'ReallmError', code, message: expect.stringContaining(message) }),
    )
  })

  it('schemas without an end', () => {
    let deep: unknown = { type: 'string' }
    for (let i = 0; i < 200; i++) deep = { type: 'array', items: deep }
    expect(() => schemaRule(deep)).toThrow('too large')
    const wide = { anyOf: Array.from({ length: 6000 }, () => ({ type: 'null' })) }
    expect(() => schemaRule(wide)).toThrow('too large')
    const [a, b] = [{ $ref: '#/$defs/b' }, { anyOf: [{ type: 'null' }, { $ref: '#/$defs/a' }] }]
    for (const circle of [
      { $ref: '#' },
      { anyOf: [{ $ref: '#' }, { $ref: '#' }] },
      { $defs: { a, b }, ...a },
    ]) {
      expect(() => schemaRule(circle)).toThrow('refers to itself')
    }
  })
})

describe('schemas of many values', () => {
  it('are no deeper for that', () => {
    const long = 'x'.repeat(200_000)
    expect(accepts(schemaRule({ const: long }), JSON.stringify(long))).toBe(true)
    const digits = Array.from({ length: 300_000 }, () => 1)
    expect(() => accepts(schemaRule({ enum: digits }), '1')).toThrow('in too many ways')
  })

  it('are told apart', () => {
    const of = (i: number, more: readonly number[] = []) => ({
      enum: [...Array.from({ length: 1000 }, (_, n) => 1000 * i + n), ...more],
    })
    const schemas = Array.from({ length: 8 }, (_, i) => of(i))
    expect(schemaRule({ oneOf: schemas })).toMatchObject({ kind: 'any' })
    expect(() => schemaRule({ oneOf: [...schemas, of(8, [3])] })).toThrow(
      'oneOf of schemas that one value may fit',
    )
  })
})
