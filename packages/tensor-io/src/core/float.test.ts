import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bf16ToF32,
  e4m3ToF32,
  e5m2ToF32,
  f16ToF32,
  f32ToBf16,
  f32ToE4m3,
  f32ToE5m2,
  f32ToF16,
  fromFloat32,
  toFloat32,
  toMatrix,
} from './float.ts'
import { tensor } from './tensor.ts'

const formats = {
  f16: { decode: f16ToF32, encode: f32ToF16, codes: Uint16Array.from({ length: 65536 }, (_, i) => i) },
  bf16: { decode: bf16ToF32, encode: f32ToBf16, codes: Uint16Array.from({ length: 65536 }, (_, i) => i) },
  e4m3: { decode: e4m3ToF32, encode: f32ToE4m3, codes: Uint8Array.from({ length: 256 }, (_, i) => i) },
  e5m2: { decode: e5m2ToF32, encode: f32ToE5m2, codes: Uint8Array.from({ length: 256 }, (_, i) => i) },
} as const

describe.each(Object.entries(formats))('%s', (_, format) => {
  const decode = format.decode as (c: Uint8Array | Uint16Array) => Float32Array
  const encode = format.encode as (v: Float32Array) => Uint8Array | Uint16Array
  const values = decode(format.codes)

  it('keeps every code that is a number, and NaN as NaN', () => {
    const back = encode(values)
    for (let i = 0; i < back.length; i++) {
      if (Number.isNaN(values[i])) expect(decode(back.slice(i, i + 1))[0]).toBeNaN()
      else if (back[i] !== format.codes[i]) expect(back[i]).toBe(format.codes[i])
    }
  })

  it('rounds to the nearest, ties to the even code', () => {
    const finite = [...values.slice(0, values.length / 2)].filter(Number.isFinite)
    const largest = finite.length - 1
    fc.assert(
      fc.property(
        fc.nat(largest - 1),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        (i, t, tie) => {
          const x = Math.fround(
            tie ? (finite[i] + finite[i + 1]) / 2 : finite[i] + t * (finite[i + 1] - finite[i]),
          )
          const [code] = encode(Float32Array.of(x))
          const below = x - finite[i]
          const above = finite[i + 1] - x
          expect(code).toBe(below < above ? i : above < below ? i + 1 : i + (i & 1))
          expect(encode(Float32Array.of(-x))[0]).toBe(code + format.codes.length / 2)
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('special values', () => {
  it('overflows to infinity, or NaN where there is none', () => {
    expect([...f16ToF32(f32ToF16(Float32Array.of(65519, 65520, -Infinity)))]).toEqual([
      65504,
      Infinity,
      -Infinity,
    ])
    expect([...e5m2ToF32(f32ToE5m2(Float32Array.of(61439, 61440, -1e9)))]).toEqual([
      57344,
      Infinity,
      -Infinity,
    ])
    expect([...e4m3ToF32(f32ToE4m3(Float32Array.of(464, 465, Infinity, -448)))]).toEqual([
      448,
      NaN,
      NaN,
      -448,
    ])
    expect([...bf16ToF32(f32ToBf16(Float32Array.of(Infinity, NaN)))]).toEqual([Infinity, NaN])
  })
})

describe('toFloat32 and fromFloat32', () => {
  it('round and clamp integers', () => {
    const x = Float32Array.of(-3.6, 0.4, 300, NaN)
    expect([...fromFloat32('I8', x)]).toEqual([-4, 0, 127, 0])
    expect([...fromFloat32('U8', x)]).toEqual([0, 0, 255, 0])
    expect([...fromFloat32('BOOL', x)]).toEqual([1, 1, 1, 1])
    expect([...fromFloat32('I64', Float32Array.of(-2, 1e30))]).toEqual([-2n, 2n ** 63n - 1n])
    expect([...fromFloat32('U64', Float32Array.of(-2, 1e30))]).toEqual([0n, 2n ** 64n - 1n])
    expect([...fromFloat32('F64', Float32Array.of(0.5))]).toEqual([0.5])
  })

  it('read every stored dtype', () => {
    expect([...toFloat32(tensor('I64', [2], BigInt64Array.of(-5n, 7n)))]).toEqual([-5, 7])
    expect([...toFloat32(tensor('BF16', [1], Uint16Array.of(0x4040)))]).toEqual([3])
    expect([...toFloat32(tensor('I16', [2], Int16Array.of(-5, 7)))]).toEqual([-5, 7])
  })

  it('make a matrix of a tensor with two axes only', () => {
    expect(toMatrix(tensor('F16', [1, 2], Uint16Array.of(0x3c00, 0xc000)))).toEqual({
      rows: 1,
      cols: 2,
      data: Float32Array.of(1, -2),
    })
    expect(() => toMatrix(tensor('F32', [2], new Float32Array(2)))).toThrow('has shape [2]')
  })
})
