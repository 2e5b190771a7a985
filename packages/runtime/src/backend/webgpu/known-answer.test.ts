import { expect, it } from 'vitest'
import { referenceBackend } from '../reference/reference-backend.ts'
import { wasmBackend } from '../wasm/wasm-backend.ts'
import { errorOf } from './known-answer.ts'

it('is the answer of the reference backend and of the CPU', async () => {
  expect(await errorOf(referenceBackend())).toBeLessThan(1e-6)
  expect(await errorOf(await wasmBackend())).toBeLessThan(1e-3)
})
