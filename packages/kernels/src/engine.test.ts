import { expect, test } from 'vitest'
import { randomMatrix } from '../test/random-matrix.ts'
import { chooseBuild, engine } from './engine.ts'
import { hadamard } from './hadamard.ts'
import { matmul } from './matmul.ts'
import { plain, relaxed } from './wasm/encode.ts'
import { moduleBytes } from './wasm-module.ts'

test('the fastest build that validates is chosen, and a named one on request', () => {
  const canRelax = WebAssembly.validate(moduleBytes(plain, false, relaxed))
  expect(chooseBuild()).toBe(canRelax ? 'relaxed' : 'plain')
  expect(chooseBuild('plain')).toBe('plain')
  expect(chooseBuild('reference')).toBe('reference')
  expect(engine()).toBeUndefined()
  if (!canRelax) expect(() => chooseBuild('relaxed')).toThrow('cannot run the relaxed kernels')
  chooseBuild()
  expect(WebAssembly.validate(moduleBytes(plain, true))).toBe(true)
})

test('both builds are whole modules', () => {
  for (const difference of [undefined, relaxed]) {
    const bytes = moduleBytes(plain, true, difference)
    expect([...bytes.subarray(0, 8)]).toEqual([0, 97, 115, 109, 1, 0, 0, 0])
    // sections: a kind, a length of up to five times seven bits, as many bytes
    let at = 8
    while (at < bytes.length) {
      let [length, shift, byte] = [0, 0, 0]
      at++
      do {
        byte = bytes[at++]
        length += (byte & 127) << shift
        shift += 7
      } while (byte & 128)
      at += length
    }
    expect(at).toBe(bytes.length)
  }
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
