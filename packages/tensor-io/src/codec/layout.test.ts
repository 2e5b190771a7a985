import { expect, test } from 'vitest'
import { ReallmError } from '../core/errors.ts'
import { tensor } from '../core/tensor.ts'
import type { Field, Fields } from './field.ts'
import { checkParts, parseParams, type StoredLayout, withDefaults } from './layout.ts'
import * as layouts from './layouts/index.ts'

const params = {
  bits: { whole: [1, 8] },
  group: { like: { whole: [2], of: ['row'] }, of: ['none'], default: 'row' },
  gain: { number: { above: 0, most: 2 }, default: 1 },
  codes: { list: { each: { whole: [1, 4] }, most: 2 }, default: [1, 2] },
  rank: { whole: [1], optional: true },
} as const satisfies Fields

const layout: StoredLayout<typeof params> = {
  codec: 'toy',
  params,
  parts: ([rows, cols], { rank = 1 }) => ({ codes: { dtype: 'U8', shape: [rows * rank, cols] } }),
}

test('defaults are filled in, in the order of the layout; what is optional stays open', () => {
  const full = parseParams(layout, { gain: 2, bits: 3 })
  expect(JSON.stringify(full)).toBe('{"bits":3,"group":"row","gain":2,"codes":[1,2]}')
  expect(parseParams(withDefaults(layout, { bits: 5, rank: 2 }), {})).toMatchObject({ bits: 5, rank: 2 })
})

test.each([
  [undefined, 'toy: parameters are undefined, not an object'],
  [[3], 'toy: parameters are [3], not an object'],
  [{}, 'toy: bits is missing: a whole number from 1 to 8'],
  [{ bits: 9 }, 'toy: bits is 9, not a whole number from 1 to 8'],
  [{ bits: 2.5 }, 'toy: bits is 2.5, not a whole number'],
  [{ bits: null }, 'toy: bits is null, not a whole number'],
  [{ bits: 3, group: 1 }, 'toy: group is 1, not "none" or "row" or a whole number from 2'],
  [{ bits: 3, gain: 0 }, 'toy: gain is 0, not a number above 0, at most 2'],
  [{ bits: 3, gain: Number.NaN }, 'toy: gain is null, not a number'],
  [{ bits: 3, codes: [] }, 'toy: codes is [], not up to 2 of these: a whole number from 1 to 4'],
  [{ bits: 3, codes: [1, 2, 3] }, 'toy: codes is [1,2,3], not up to 2'],
  [{ bits: 3, rank: 0 }, 'toy: rank is 0, not a whole number from 1'],
  [{ bits: 3, constructor: 1 }, 'toy: there is no parameter "constructor"'],
  [{ bits: 3, inner: {} }, 'toy: there is no parameter "inner"'],
])('%j is refused: %s', (given, message) => {
  expect(() => parseParams(layout, given)).toThrow(message)
})

test('a wrapped matrix is there where there has to be one, of the same shape, and nowhere else', () => {
  const parts = { codes: tensor('U8', [2, 3], new Uint8Array(6)) }
  const stored = { codec: 'toy', params: { bits: 3 }, shape: [2, 3] as const, parts }
  const wrapper = { ...layout, wraps: true }
  expect(checkParts(layout, stored).params.gain).toBe(1)
  expect(() => checkParts(wrapper, stored)).toThrow('the wrapped matrix is missing')
  expect(() => checkParts(layout, { ...stored, inner: stored })).toThrow('it wraps another matrix')
  expect(() => checkParts(wrapper, { ...stored, inner: { ...stored, shape: [3, 2] } })).toThrow('is [3×2]')
})

const described = Object.values(layouts).filter(
  (value): value is StoredLayout => typeof value === 'object' && 'codec' in value && 'parts' in value,
)

test.each(described.map(each => [each.codec, each] as const))(
  '%s counts the parts of any shape without room for it',
  (_, each) => {
    const least = ({ of, whole, number, list }: Field): unknown =>
      list ? [least(list.each)] : (of?.[0] ?? whole?.[0] ?? number?.least ?? number?.most)
    const given = Object.entries(each.params).flatMap(([name, field]) =>
      field.default !== undefined || field.optional ? [] : [[name, least(field)]],
    )
    const full = parseParams(each, Object.fromEntries(given))
    for (const shape of [
      [2 ** 40, 2 ** 40],
      [1, 2 ** 46 + 21],
      [2 ** 46 + 21, 1],
    ] as const) {
      try {
        expect(Object.keys(each.parts(shape, full)).length).toBeGreaterThan(0)
      } catch (error) {
        expect(error).toBeInstanceOf(ReallmError)
      }
    }
  },
)
