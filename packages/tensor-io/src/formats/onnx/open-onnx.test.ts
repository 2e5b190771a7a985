import { expect, it } from 'vitest'
import { bytesSource } from '../source/source.ts'
import { readConstants } from './read-constants.ts'

const join = (...parts: (number | readonly number[] | Uint8Array)[]) =>
  Uint8Array.from(parts.flatMap(part => (typeof part === 'number' ? [part] : [...part])))
const message = (field: number, content: Uint8Array) => join(8 * field + 2, content.length, content)
const text = (field: number, value: string) => message(field, new TextEncoder().encode(value))

/** A model whose graph has one constant, `w`, with these fields. */
const modelOf = (...fields: Uint8Array[]) => message(7, message(5, join(...fields)))
const read = (bytes: Uint8Array) => readConstants(bytesSource('model.onnx', Uint8Array.from(bytes)))

const dims = (...sizes: number[]) => join(...sizes.map(size => [8, size]))
const uint8 = join(16, 2)
const raw = (count: number) => message(9, new Uint8Array(count))

it('tells names, shapes and places of constants', async () => {
  const bytes = modelOf(dims(2, 3), uint8, text(8, 'w'), raw(6))
  const [constant] = await read(bytes)
  expect(constant).toMatchObject({ name: 'w', type: 2, dims: [2, 3], bytes: 6, file: undefined })
  expect(constant.start).toBe(bytes.length - 6)
})

it('tells the file of those that lie in another', async () => {
  const entries = Object.entries({ location: 'w.onnx_data', offset: '32', length: '6' })
  const outside = entries.map(([key, value]) => message(13, join(text(1, key), text(2, value))))
  const [constant] = await read(modelOf(dims(6), uint8, text(8, 'w'), ...outside))
  expect(constant).toMatchObject({ file: 'w.onnx_data', start: 32, bytes: 6 })
})

it.each([
  [
    'sizes that contradict each other',
    modelOf(dims(2, 3), uint8, text(8, 'w'), raw(5)),
    /constant w \[2×3\] has 5 bytes/,
  ],
  ['a field beyond its message', join(58, 100, 1), /field of 100 bytes ends beyond/],
  ['a length of 2⁶³', join(58, Array(9).fill(255), 1), /ends beyond/],
  ['a number without an end', join(58, Array(12).fill(255)), /more than ten bytes|within a number/],
  ['forms that there are not', join(59, 1), /a field has the form 3/],
  ['many axes', modelOf(dims(...Array(9).fill(1)), uint8), /more than 8 axes/],
])('refuses %s', async (_, bytes, message) => {
  await expect(read(bytes)).rejects.toMatchObject({
    code: 'bad-file',
    message: expect.stringMatching(message),
  })
})
