import type { ModelFiles } from '@reallm/tensor-io'
import { expect, test } from 'vitest'
import { whatIsLost } from './what-is-lost.ts'

const stored = (dtype: string, bytes: number): Pick<ModelFiles, 'tensors' | 'bytes'> => ({
  tensors: new Map([
    ['a.weight', { dtype, shape: [64, 64], bytes }],
    ['norm.weight', { dtype: 'F32', shape: [64], bytes: 256 }],
  ]),
  bytes: bytes + 256,
})

test('packed codes that are decoded, and what is rounded', () => {
  const packed = stored('Q4_0', 2304)
  expect(whatIsLost(packed, 'f32', 16_640)).toEqual([
    '1 packed tensor decoded: 2.56 kB become 16.6 kB; compress --target packs a model for another program',
  ])
  expect(whatIsLost(packed, 'f16', 8448)).toContain('1 tensor rounded to f16')
})

test.each([
  ['BF16', 8192, 'bf16'],
  ['BF16', 8192, 'f32'],
  ['F16', 8192, 'f16'],
  ['Q8_0', 4352, 'q8_0'],
] as const)('%s in %s loses nothing', (dtype, bytes, to) => {
  const from = stored(dtype, bytes)
  expect(whatIsLost(from, to, from.bytes)).toEqual([])
})

test('a wider dtype is rounded to a narrower one', () => {
  expect(whatIsLost(stored('F32', 16_384), 'bf16', 8448)).toEqual(['1 tensor rounded to bf16'])
  expect(whatIsLost(stored('BF16', 8192), 'q8_0', 4608)).toEqual(['1 tensor rounded to q8_0'])
})
