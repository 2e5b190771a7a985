import { describe, expect, it } from 'vitest'
import golden from '../../../test/fixtures/gguf-blocks.json' with { type: 'json' }
import { decodeBlocks } from './decode.ts'
import { ggufTypes } from './types.ts'

const named = (name: string) => [...ggufTypes.values()].find(type => type.name === name)!

describe('decodeBlocks', () => {
  it('decodes NVFP4 as the reference does: ordinary, subnormal and NaN scales', () => {
    const block = Buffer.from(
      '38037f39931aed15f5d3ef2d059d9f3c36ec6d2ec75220cd240786de399208950e0f160a',
      'hex',
    )
    // biome-ignore format: one group a line
    const groups = [
      [1.5, -1, -3, 3, 3, 1.5, -6, -3, -0.5, 0.5, -4, 0.5, -6, -3, -4, 1],
      [9, -9, -18, -6, 12, -6, -9, -12, 0, -1.5, -1.5, 4.5, 4.5, -12, 12, 3].map(v => v / 512),
      [0, 0, 0, -0, 0, 0, 0, -0, -0, 0, 0, -0, 0, 0, 0, -0],
      [-0.5625, 1.125, 0, 3.375, -4.5, -6.75, 4.5, -1.125, 1.6875, -0.5625, 0, -0.5625, 0, 0, 0.5625, 0],
    ]
    expect([...decodeBlocks(named('NVFP4'), block)]).toEqual(groups.flat())
  })

  it.each(Object.entries(golden))('decodes %s to the bits of llama.cpp', (name, { blocks, values }) => {
    const bytes = Buffer.from(values, 'hex')
    const want = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
    expect([...decodeBlocks(named(name), Buffer.from(blocks, 'hex'))]).toEqual(want)
  })

  it('wants whole blocks', () => {
    expect(() => decodeBlocks(named('Q4_K'), new Uint8Array(145))).toThrow(
      '145 bytes are no whole number of Q4_K',
    )
  })
})
