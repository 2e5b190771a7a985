import { expect, it } from 'vitest'
import { shownUrl } from './shown-url.ts'

it.each([
  ['redis://host:6379', 'redis://host:6379'],
  ['redis://:secret@host:6379/2', 'redis://:…@host:6379/2'],
  ['rediss://me:sec:re@t/x@host', 'rediss://me:…@host'],
  ['nonsense', 'nonsense'],
])('%s is shown as %s', (url, shown) => {
  expect(shownUrl(url)).toBe(shown)
})
