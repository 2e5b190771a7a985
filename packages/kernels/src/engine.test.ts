import { expect, test } from 'vitest'
import { randomMatrix } from '../test/random-matrix.ts'
import { chooseBuild, engine } from './engine.ts'
import { hadamard } from './hadamard.ts'
import { matmul } from './matmul.ts'
import { plain, relaxed } from './wasm/encode.ts'
import { moduleBytes } from './wasm-module.ts'

test('the fastest build that validates is chosen, and a named one on request', () => {
  const canRelax = WebAssembly.validate(moduleBytes(relaxed, false))
  expect(chooseBuild()).toBe(canRelax ? 'relaxed' : 'plain')
  expect(chooseBuild('plain')).toBe('plain')
  expect(chooseBuild('reference')).toBe('reference')
  expect(engine()).toBeUndefined()
  if (!canRelax) expect(() => chooseBuild('relaxed')).toThrow('cannot run the relaxed kernels')
  chooseBuild()
  expect(WebAssembly.validate(moduleBytes(plain, true))).toBe(true)
})

test('memory grows once and is used again', () => {
  const [a, b] = [randomMatrix(50, 320), randomMatrix(320, 40, 2)]
  matmul(a, b)
  hadamard(a)
  const bytes = engine()!.memory.buffer.byteLength
  for (let i = 0; i < 100; i++) {
    matmul(a, b)
    hadamard(a)
  }
  expect(engine()!.memory.buffer.byteLength).toBe(bytes)
})
