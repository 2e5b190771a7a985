import { describe, expect, it } from 'vitest'
import { checkPattern } from './check-pattern.ts'
import { wordSplitters } from './tokenizer/word-splitters.ts'

const check = (pattern: string) => checkPattern('tokenizer.json', pattern, { nested: true })

describe('checkPattern', () => {
  it('takes the patterns of known tokenizers', () => {
    for (const { patterns } of wordSplitters) for (const pattern of patterns) check(pattern)
  })

  it.each([
    '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
    '\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))',
    '[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++',
    '[\\p{L}&&[^\\p{Han}]]+|(a|b)?[)(+*|]+',
    '(?i)a+',
    '',
  ])('takes %s', check)

  it.each([
    ['(a+)+$', 'repeats what varies'],
    ['(a*)*', 'repeats what varies'],
    ['(?:a|ab)*c', 'repeats what varies'],
    ['((a{1,30}){1,30}){1,30}', 'repeats what varies'],
    ['(?:a?){40}', 'repeats what varies'],
    ['(?=(a+)+$)', 'repeats what varies'],
    ['(?<w>x+x+)+y', 'repeats what varies'],
    ['a*a*a*$', '3 unbounded repetitions'],
    ['a{0,999}a{0,999}a{0,999}$', '3 unbounded repetitions'],
    ['a?'.repeat(30) + 'a'.repeat(30), 'too many optional parts'],
    ['(a|a)'.repeat(30), 'too many optional parts'],
    ['(a+)\\1', 'refers back'],
    ['('.repeat(100), 'nested too deeply'],
    ['(a', 'parenthesis is not closed'],
    ['a)', 'parenthesis closes nothing'],
    ['[a', 'bracket is not closed'],
    ['a'.repeat(20_000), 'too long'],
  ])('refuses %s', (pattern, reason) => {
    expect(() => check(pattern)).toThrow(reason)
  })

  it('sees what stands behind a class that holds a bracket', () => {
    expect(() => checkPattern('adapter_config.json', '[[](a+)+$[]]')).toThrow('repeats what varies')
  })
})
