import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const tiny = join(import.meta.dirname, '..', '..', 'tiny', 'model')

test('a model writes texts that begin with words, the same for one seed', {
  timeout: 120_000,
}, async () => {
  const first = await reallm(['write', tiny, '-c', '3', '-n', '8', '--seed', '3'])
  expect(first.code, first.err).toBe(0)
  const texts = first.out.trim().split(/\n\n+(?=\p{Lu})/u)
  expect(texts.length).toBeGreaterThanOrEqual(3)
  expect(first.out).toMatch(/^\p{Lu}\p{L}+/u)
  expect((await reallm(['write', tiny, '-c', '3', '-n', '8', '--seed', '3'])).out).toBe(first.out)
})
