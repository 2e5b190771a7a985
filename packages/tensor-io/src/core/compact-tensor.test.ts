import { expect, test } from 'vitest'
import { compactTensor } from './compact-tensor.ts'

test.each([
  ['BF16', [1, -0.5, 3.140625]],
  ['F16', [1.001, 0, -1000.3]],
  ['F32', [1.001, 1e-6]],
  ['F32', [1.001, 70_000.5]],
])('%s for %j', (dtype, values) => {
  expect(compactTensor([values.length], Float32Array.from(values)).dtype).toBe(dtype)
})
