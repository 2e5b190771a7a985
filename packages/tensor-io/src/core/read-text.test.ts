import { describe, expect, it } from 'vitest'
import { parseJson } from './json.ts'
import { textOf } from './read-text.ts'

const text = 'Der Wal schwimmt über das Meer.\n'
const utf8 = new TextEncoder().encode(text)
const wide = (size: 2 | 4, littleEndian: boolean, mark: string, contents = text) => {
  const codes = [...(mark + contents)].map(character => character.codePointAt(0)!)
  const view = new DataView(new ArrayBuffer(size * codes.length))
  for (const [i, code] of codes.entries()) {
    if (size === 2) view.setUint16(2 * i, code, littleEndian)
    else view.setUint32(4 * i, code, littleEndian)
  }
  return new Uint8Array(view.buffer)
}
const latin1 = (contents: string) => Uint8Array.from(contents, character => character.charCodeAt(0))

it('reads every line end as \\n, and no byte-order mark', () => {
  expect(textOf('a', new TextEncoder().encode('\ufeffone\r\ntwo\rthree\n\n'))).toBe('one\ntwo\nthree\n\n')
  expect(textOf('a', new Uint8Array())).toBe('')
})

it('keeps what only looks like a mark, in the middle of a file', () => {
  const mark = new TextEncoder().encode('\ufeffone')
  expect(textOf('a', mark, { start: false })).toBe('\ufeffone')
})

describe('names encodings other than UTF-8, with the way out', () => {
  it.each([
    ['UTF-16', wide(2, true, '\ufeff')],
    ['UTF-16', wide(2, false, '\ufeff')],
    ['UTF-16', wide(2, true, '')],
    ['UTF-16', wide(2, false, '')],
    ['UTF-16', wide(2, true, '', 'hi')],
    ['UTF-16', wide(2, true, '\ufeff', '鯨は海を泳ぐ')],
    ['UTF-32', wide(4, true, '\ufeff')],
    ['UTF-32', wide(4, false, '\ufeff')],
    ['UTF-32', wide(4, true, '')],
    ['UTF-32', wide(4, false, '')],
  ])('%s', (encoding, bytes) => {
    expect(() => textOf('whale.txt', bytes)).toThrow(`whale.txt is ${encoding}: save it as UTF-8`)
  })

  it('Latin-1, by the line', () => {
    const refused = () => textOf('whale.txt', latin1('one\ntwo\nüber\n'), { line: 10 })
    expect(refused).toThrow('whale.txt, line 12 is not UTF-8')
    expect(refused).toThrow(expect.objectContaining({ hint: expect.stringContaining('Latin-1') }))
  })

  it('UTF-16 without mark or zeros, and what is no text', () => {
    const chinese = wide(2, true, '', '鯨は海を泳ぐ')
    expect(() => textOf('whale.txt', chinese)).toThrow('whale.txt, line 1 is not UTF-8')
    const binary = () => textOf('whale.png', Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10))
    expect(binary).toThrow(expect.objectContaining({ hint: 'is it a text file?' }))
  })
})

it('texts with a stray zero are texts', () => {
  const zero = new TextEncoder().encode(`${text}\0${text}`)
  expect(textOf('a', zero)).toBe(`${text}\0${text}`)
  expect(textOf('a', utf8)).toBe(text)
})

it('JSON in other encodings is named too', () => {
  expect(() => parseJson('config.json', wide(2, true, '\ufeff', '{}'))).toThrow('config.json is UTF-16')
  expect(() => parseJson('config.json', latin1('{"a": "ü"}'))).toThrow('config.json, line 1 is not UTF-8')
  expect(parseJson('config.json', new TextEncoder().encode('\ufeff{"a": 1}'))).toEqual({ a: 1 })
})
