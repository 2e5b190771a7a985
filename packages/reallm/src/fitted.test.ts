import { expect, test } from 'vitest'
import { fitted } from './fitted.ts'

test('words go on below, further to the right', () => {
  expect(fitted('reallm: stopped\n  hint: continue with the same command and --resume\n', 30)).toBe(
    'reallm: stopped\n  hint: continue with the same\n    command and --resume\n',
  )
})

test("a table's last column goes on below itself", () => {
  expect(fitted('no   SIMD  dot products are slower here\nyes  cpu   slow', 24)).toBe(
    'no   SIMD  dot products\n           are slower\n           here\nyes  cpu   slow',
  )
})

test('commands and long words stay whole, a comment goes below its command', () => {
  const example = '  $ reallm inspect npm:@reallm/tiny    what is in it'
  expect(fitted(example, 40)).toBe('  $ reallm inspect npm:@reallm/tiny\n      what is in it')
  const url = 'https://example.org/a/very/long/address'
  expect(fitted(`see ${url} there`, 20)).toBe(`see\n  ${url}\n  there`)
  expect(fitted(url, 20)).toBe(url)
})

test('without a width, or with room, nothing changes', () => {
  const text = `${'a word and '.repeat(30)}\n\n  $ x  y\n`
  expect(fitted(text, undefined)).toBe(text)
  expect(fitted(text, 400)).toBe(text)
})
