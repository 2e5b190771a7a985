import { ReallmError } from '@reallm/tensor-io'
import { afterCharacter, isWhole } from './number.ts'
import type { Rule } from './rule.ts'

/** A rule to be fulfilled, and what comes after it; undefined is the end of the text. */
interface Stack {
  readonly rule: Rule
  readonly next: Stack | undefined
}

/** Where a text stands in a grammar: every way in which it can be read so far. */
export interface Place {
  /** Ways to go on, the next byte's rule on top of each. */
  readonly ways: readonly Stack[]
  /** Whether the text may end here. */
  readonly canEnd: boolean
}

/** Ways at a time: more need a grammar that reads the same text in very many ways, or one without an end. */
const mostWays = 10_000

/** The start of a text. */
export const startOf = (rule: Rule): Place => opened([{ rule, next: undefined }])

/** Where a text stands after one more byte; undefined where that may not come. */
export function after(place: Place, code: number): Place | undefined {
  const next: (Stack | undefined)[] = []
  for (const way of place.ways) {
    const { rule } = way
    if (rule.kind === 'byte') {
      if (rule.ranges.some(([from, to]) => code >= from && code <= to)) next.push(way.next)
    } else if (rule.kind === 'number') {
      const rest = afterCharacter(rule, String.fromCharCode(code))
      if (rest) next.push({ rule: rest, next: way.next })
    }
  }
  return next.length > 0 ? opened(next) : undefined
}

/** Replaces rules by what they consist of until bytes are on top. */
function opened(stacks: (Stack | undefined)[]): Place {
  const seen = new Set<Stack | undefined>()
  const ways: Stack[] = []
  while (stacks.length > 0) {
    const stack = stacks.pop()
    if (seen.has(stack)) continue
    seen.add(stack)
    if (seen.size > mostWays) {
      throw new ReallmError('unsupported', 'the grammar can be read in too many ways', {
        hint: 'give alternatives different types, or different values of one property',
      })
    }
    if (stack === undefined) continue
    const { rule, next } = stack
    if (rule.kind === 'byte') ways.push(stack)
    else if (rule.kind === 'later') stacks.push({ rule: rule.rule(), next })
    else if (rule.kind === 'any') for (const each of rule.rules) stacks.push({ rule: each, next })
    else if (rule.kind === 'all')
      stacks.push(
        rule.rules.reduceRight<Stack | undefined>((rest, each) => ({ rule: each, next: rest }), next),
      )
    else if (rule.kind === 'number') {
      ways.push(stack)
      if (isWhole(rule)) stacks.push(next)
    } else {
      const { least, most } = rule
      if (least === 0) stacks.push(next)
      const endless = least === 0 && most === Number.POSITIVE_INFINITY
      const again = { ...rule, least: Math.max(0, least - 1), most: most - 1 }
      if (most > 0) stacks.push({ rule: rule.rule, next: endless ? stack : { rule: again, next } })
    }
  }
  return { ways, canEnd: seen.has(undefined) }
}
