import { describe, expect, it } from 'vitest'
import { type Protocol, windowsOf } from './windows.ts'

const tokens = Array.from({ length: 22 }, (_, i) => i)
const scored = (options: Protocol) =>
  windowsOf(tokens, options).map(({ ids, from }) => [ids[0], ids.slice(from)])

describe('windowsOf', () => {
  it('half: scores the second half of windows side by side', () => {
    expect(scored({ ctx: 8 })).toEqual([
      [0, [4, 5, 6, 7]],
      [8, [12, 13, 14, 15]],
    ])
    const [first, ...others] = windowsOf(Array.from({ length: 2000 }, (_, i) => i))
    expect([first.ids.length, first.from, others.length]).toEqual([512, 256, 2])
  })

  it('says that a text has no tokens', () => {
    expect(() => windowsOf([], { ctx: 8 })).toThrow(/0 tokens: the text is empty/)
  })

  it('full: scores all but the first token', () => {
    expect(scored({ protocol: 'full', ctx: 10 })).toEqual([
      [0, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
      [10, [11, 12, 13, 14, 15, 16, 17, 18, 19]],
    ])
  })

  it('knows the protocols of papers and programs by name', () => {
    const long = Array.from({ length: 4500 }, (_, i) => i)
    const shapes = (options: Protocol) => windowsOf(long, options).map(({ ids, from }) => [ids.length, from])
    expect(shapes({ protocol: 'gptq' })).toEqual([
      [2048, 1],
      [2048, 1],
    ])
    expect(shapes({ protocol: 'huggingface' }).slice(0, 2)).toEqual([
      [1024, 1],
      [1024, 512],
    ])
    const [first] = windowsOf(long, { protocol: 'llama.cpp', bos: 7 })
    expect([first.ids.length, first.from, ...first.ids.slice(0, 2)]).toEqual([512, 257, 7, 1])
  })

  it.each([undefined, 3, 7])('strided: scores each token once, stride %s', stride => {
    const windows = windowsOf(tokens, { protocol: 'strided', ctx: 8, stride })
    expect(windows.flatMap(({ ids, from }) => ids.slice(from))).toEqual(tokens.slice(1))
    expect(windows.slice(1).every(({ from }) => from >= 8 - (stride ?? 4))).toBe(true)
    expect(windows.every(({ ids }) => ids.length <= 8)).toBe(true)
  })

  it('takes the first windows, and rows as they are', () => {
    expect(windowsOf(tokens, { ctx: 8, windows: 1 })).toHaveLength(1)
    expect(
      windowsOf([
        [5, 6, 7],
        [8, 9],
      ]),
    ).toEqual([
      { ids: [5, 6, 7], from: 1 },
      { ids: [8, 9], from: 1 },
    ])
  })

  it.each([
    [tokens, { protocol: 'whole' }, 'unknown protocol whole'],
    [tokens, { ctx: 64 }, '22 tokens do not fill one window of 64'],
    [tokens, { ctx: 1 }, 'ctx must be'],
    [tokens, { protocol: 'strided', ctx: 8, stride: 8 }, 'stride must be from 1 to 7'],
    [tokens, { ctx: 8, windows: 0 }, 'windows must be'],
    [[[1, 2], [3]], {}, 'row 1 has 1 tokens'],
    [[], {}, '0 tokens'],
  ])('refuses what does not fit (%#)', (given, options, message) => {
    expect(() => windowsOf(given as number[], options as Protocol)).toThrow(message)
  })
})
