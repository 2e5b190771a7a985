import { expect, it } from 'vitest'
import { textOf } from './read-text.ts'

it('reads every line end as \\n, and no byte-order mark', () => {
  expect(textOf(new TextEncoder().encode('\ufeffone\r\ntwo\rthree\n\n'))).toBe('one\ntwo\nthree\n\n')
})
