import { expect, test } from 'vitest'
import { splitShared } from '../.vitepress/theme/shared/split-shared.ts'

test.each([
  ['The sky is blue.', 'The sky was blue.', ['The sky', ' is', ' blue.']],
  ['Equal words', 'Equal words', ['Equal words', '', '']],
  ['Equal, then more', 'Equal, then', ['Equal, then', ' more', '']],
  ['A word', 'Another', ['', 'A', ' word']],
  ['', 'x', ['', '', '']],
])('%j beside %j', (text, other, [same, first, rest]) => {
  expect(splitShared(text, other)).toEqual({ same, first, rest })
})
