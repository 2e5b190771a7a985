import { ReallmError } from '../../core/errors.ts'
import { type EncodedMatrix, partsOf } from '../encoded-matrix.ts'

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message)
}

export function equal(actual: unknown, expected: unknown, what: string): void {
  assert(Object.is(actual, expected), `${what}: expected ${expected}, got ${actual}`)
}

export function same(
  actual: ArrayLike<number | bigint>,
  expected: ArrayLike<number | bigint>,
  what: string,
): void {
  equal(actual.length, expected.length, `${what}: length`)
  for (let i = 0; i < actual.length; i++) equal(actual[i], expected[i], `${what}: at ${i}`)
}

/** Equal up to the rounding of another order of additions. */
export function near(actual: Float32Array, expected: Float32Array, what: string): void {
  equal(actual.length, expected.length, `${what}: length`)
  for (let i = 0; i < actual.length; i++) {
    const close = Math.abs(actual[i] - expected[i]) <= 1e-4 * (1 + Math.abs(expected[i]))
    assert(close, `${what}: at ${i} expected ${expected[i]}, got ${actual[i]}`)
  }
}

export function sameParts(a: EncodedMatrix, b: EncodedMatrix, what: string): void {
  const [left, right] = [partsOf(a), partsOf(b)]
  equal(Object.keys(left).sort().join(), Object.keys(right).sort().join(), `${what}: parts`)
  for (const [name, part] of Object.entries(left)) same(part.data, right[name].data, `${what}: ${name}`)
  equal(JSON.stringify(a.params), JSON.stringify(b.params), `${what}: parameters`)
}

export async function rejected(promise: Promise<unknown>, code: string, says?: RegExp): Promise<void> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  checkRefusal(error, code, says)
}

export function refused(call: () => unknown, code: string, says?: RegExp, what = 'nothing was thrown'): void {
  let error: unknown
  try {
    call()
  } catch (reason) {
    error = reason
  }
  assert(error !== undefined, `${what}: expected ${code}`)
  checkRefusal(error, code, says)
}

function checkRefusal(error: unknown, code: string, says: RegExp | undefined): void {
  assert(error !== undefined, `nothing was thrown, expected ${code}`)
  assert(error instanceof ReallmError, `expected a ReallmError, got ${error}`)
  equal(error.code, code, `code of "${error.message}"`)
  const text = `${error.message}; ${error.hint ?? ''}`
  assert(!says || says.test(text), `the error says "${text}", expected ${says}`)
}
