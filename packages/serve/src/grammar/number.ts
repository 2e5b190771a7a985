/** What a number may be. */
export interface NumberBounds {
  readonly integer: boolean
  readonly min: number
  readonly max: number
  /** The bounds themselves do not count. */
  readonly aboveMin?: boolean | undefined
  readonly belowMax?: boolean | undefined
}

/** A number between bounds, as JSON writes it without an exponent: what is written of it, and what may follow. */
export interface NumberRule {
  readonly kind: 'number'
  readonly bounds: NumberBounds
  readonly written: string
}

/** Digits before and after the point: doubles tell such numbers apart. */
const mostDigits = 15

/** A number between bounds, of which nothing is written yet. */
export const numberWithin = (bounds: NumberBounds): NumberRule => ({ kind: 'number', bounds, written: '' })

/** Whether what is written is a number within the bounds. */
export const isWhole = ({ written, bounds }: NumberRule): boolean =>
  /\d$/.test(written) && contains(bounds, Number(written))

/** The rule for what follows a character; undefined where no number within the bounds starts so. */
export function afterCharacter({ written, bounds }: NumberRule, character: string): NumberRule | undefined {
  const text = written + character
  const [, whole, fraction] = /^-?(0|[1-9]\d*)?(?:\.(\d*))?$/.exec(text) ?? []
  const wellFormed = text === '-' || whole !== undefined
  if (!wellFormed || (bounds.integer && /[.]|-0/.test(text))) return undefined
  if ((whole?.length ?? 0) > mostDigits || (fraction?.length ?? 0) > mostDigits) return undefined
  return canReach(text, bounds) ? { kind: 'number', bounds, written: text } : undefined
}

const contains = ({ min, max, aboveMin, belowMax }: NumberBounds, value: number): boolean =>
  (aboveMin ? value > min : value >= min) && (belowMax ? value < max : value <= max)

/** Whether a number within the bounds starts with a text; the empty one stands after a minus sign. */
function canReach(text: string, bounds: NumberBounds): boolean {
  if (text.startsWith('-')) return canReach(text.slice(1), mirrored(bounds))
  const { integer, min, max } = bounds
  // magnitudes of numbers that start so lie in [low, high), for one more digit in [10 low, 10 high), …
  if (text === '') {
    if (integer) return hasInteger(bounds, Math.max(1, min), max, 10 ** mostDigits)
    return max > 0 && (min < max || contains(bounds, max))
  }
  const [whole, fraction] = text.split('.')
  let low = Number(text.endsWith('.') ? whole : text)
  let high = fraction === undefined ? low + 1 : low + 10 ** -fraction.length
  const longer = fraction === undefined && low > 0 ? mostDigits - whole.length : 0
  for (let digits = 0; digits <= longer; digits++) {
    if (contains(bounds, low)) return true
    // between the ends lie numbers of more digits
    const [from, to] = [Math.max(low, min), Math.min(high, max)]
    if (from < to && (!integer || hasInteger(bounds, from, to, high))) return true
    ;[low, high] = [10 * low, 10 * high]
  }
  return false
}

/** Whether an integer within the bounds lies from `from` to `to`, below `high`. */
function hasInteger(bounds: NumberBounds, from: number, to: number, high: number): boolean {
  const first = contains(bounds, Math.ceil(from)) ? Math.ceil(from) : Math.floor(from) + 1
  return first <= to && first < high && contains(bounds, first)
}

const mirrored = ({ integer, min, max, aboveMin, belowMax }: NumberBounds): NumberBounds => ({
  ...{ integer, min: -max, max: -min, aboveMin: belowMax, belowMax: aboveMin },
})
