import { describe, expect, it } from 'vitest'
import { type Merge, mergesOfScores, scoresOfMerges, tokenTypes } from './sentence-piece.ts'

const normal = () => tokenTypes.normal
const merges = (...pairs: string[]): Merge[] => pairs.map(pair => pair.split(' ') as [string, string])

describe('mergesOfScores', () => {
  it('merges into the piece with the highest score first, in every way that two pieces make it', () => {
    const tokens = ['a', 'b', 'c', 'ab', 'bc', 'abc', '😀', '😀a']
    const scores = [-9, -9, -9, -1, -2, 0, -9, -3]
    expect(mergesOfScores(tokens, scores, normal)).toEqual(merges('ab c', 'a bc', 'a b', 'b c', '😀 a'))
  })

  it('makes no piece that is not of type normal', () => {
    const typeOf = (id: number) => (id === 2 ? tokenTypes.control : tokenTypes.normal)
    expect(mergesOfScores(['a', 'b', 'ab'], [0, 0, 0], typeOf)).toEqual([])
  })
})

describe('scoresOfMerges', () => {
  it('gives scores that merge in the same order', () => {
    const tokens = ['▁', 't', 'h', 'e', '▁t', 'he', '▁the', 'th']
    const wanted = merges('h e', '▁t he', '▁ t', 't h')
    const scores = scoresOfMerges(tokens, wanted, normal)
    expect(scores).toEqual([-4, -4, -4, -4, -2, 0, -1, -3])
    expect(mergesOfScores(tokens, scores, normal)).toEqual(wanted)
  })

  it('lets merges of runs of one character mix', () => {
    const tokens = ['▁', '▁▁', '▁▁▁', '▁▁▁▁']
    const mixed = merges('▁▁▁ ▁', '▁▁ ▁', '▁▁ ▁▁', '▁ ▁▁', '▁ ▁▁▁', '▁ ▁')
    expect(scoresOfMerges(tokens, mixed, normal)).toEqual([-6, -2, -1, 0])
  })

  it.each([
    [
      'a merge that SentencePiece would do',
      ['a', 'b', 'c', 'ab', 'bc', 'abc'],
      merges('a b', 'ab c', 'b c'),
      'does not merge "a" and "bc" into "abc"',
    ],
    ['a piece without merges', ['a', 'b', 'ab'], [], 'does not merge "a" and "b" into "ab"'],
    ['a character that is no token', ['b', 'éb'], [], 'does not merge "é" and "b"'],
    [
      'another priority',
      ['a', 'b', 'c', 'ab', 'bc', 'abc', 'ca'],
      merges('a b', 'b c', 'ab c', 'c a', 'a bc'),
      'other merges come between those into "abc"',
    ],
    ['a piece that is no token', ['a', 'b'], merges('a b'), '"ab", which is no token'],
  ])('refuses %s', (_, tokens, pairs, message) => {
    expect(() => scoresOfMerges(tokens, pairs, normal)).toThrow(message)
  })
})
