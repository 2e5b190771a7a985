import { expect, test } from 'vitest'
import { recentlyUsed } from './recently-used.ts'

test('forgets what was not used for longest', () => {
  const map = recentlyUsed<string, number>(2)
  map.set('a', 1)
  map.set('b', 2)
  expect(map.get('a')).toBe(1)
  map.set('c', 3)
  expect(['a', 'b', 'c'].map(key => map.get(key))).toEqual([1, undefined, 3])
  map.set('a', 4)
  map.set('d', 5)
  expect(['a', 'c', 'd'].map(key => map.has(key))).toEqual([true, false, true])
  expect(map.get('a')).toBe(4)
})
