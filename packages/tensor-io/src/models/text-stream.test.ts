import { describe, expect, it } from 'vitest'
import { textStream } from './text-stream.ts'

/** One id per byte. */
const decode = (ids: number[]) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids))
const bytes = (text: string) => [...new TextEncoder().encode(text)]

function pieces(ids: number[], stop: string[] = []) {
  const stream = textStream(decode, stop)
  const out = ids.map(id => stream.push(id))
  return { out: [...out, stream.end()], stopped: stream.stopped }
}

describe('textStream', () => {
  it('never splits a character', () => {
    const text = 'aé漢🎉!'
    const { out } = pieces(bytes(text))
    expect(out.filter(piece => piece !== '')).toEqual([...text])
  })

  it('shows broken bytes at the end', () => {
    expect(pieces([0x61, 0xf0, 0x9f]).out.join('')).toBe('a\ufffd')
  })

  it('stops at a stop string that comes in pieces, and leaves it out', () => {
    const { out, stopped } = pieces(bytes('one\nUser: two'), ['\nUser:'])
    expect(out.join('')).toBe('one')
    expect(stopped).toBe(true)
  })

  it('lets through what only looked like one', () => {
    const { out, stopped } = pieces(bytes('one\nUse it\nUs'), ['\nUser:'])
    expect(out.join('')).toBe('one\nUse it\nUs')
    expect(stopped).toBe(false)
  })

  it('reads ids behind the ones before, as tokenizers with a leading space do', () => {
    const words = ['▁a', '▁b', 'c']
    const spaced = (ids: number[]) =>
      ids
        .map(i => words[i])
        .join('')
        .replaceAll('▁', ' ')
        .replace(/^ /, '')
    const stream = textStream(spaced)
    expect([0, 1, 2, 1].map(id => stream.push(id))).toEqual(['a', ' b', 'c', ' b'])
  })
})
