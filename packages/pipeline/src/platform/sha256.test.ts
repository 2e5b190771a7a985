import { createHash } from 'node:crypto'
import { random } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { sha256 } from './sha256.ts'

test.each([0, 3, 55, 56, 63, 64, 65, 1000])('SHA-256 of %d bytes, in pieces, is that of Node', length => {
  const { integer } = random(length)
  const bytes = Uint8Array.from({ length }, () => integer(256))
  const middle = length >> 1
  const ours = sha256().update('text').update(bytes.subarray(0, middle)).update(bytes.subarray(middle))
  expect(ours.digest('hex')).toBe(createHash('sha256').update('text').update(bytes).digest('hex'))
})
