/** Turns token ids that come one by one into pieces of text. */
export interface TextStream {
  /** The text that this id completes: possibly nothing, never part of a character or of a stop string. */
  push(id: number): string
  /** What was held back, at the end. */
  end(): string
  /** A stop string has come; it and what follows are left out. */
  readonly stopped: boolean
}

const incomplete = '\ufffd'

/**
 * A text stream over a tokenizer's `decode`. Characters whose bytes are spread over tokens come out whole, and text
 * that may be the start of `stop`, or of one of several such strings, is held back until it is certain.
 *
 * @example
 * const stream = textStream(ids => tokenizer.decode(ids), ['\nUser:'])
 * for (const id of ids) output.append(stream.push(id))
 * output.append(stream.end())
 */
export function textStream(
  decode: (ids: number[]) => string,
  stop: string | readonly string[] = [],
): TextStream {
  const stops = [stop].flat().filter(Boolean)
  let ids: number[] = []
  let shown = 0 // ids[0, shown) are out already, and tell how the next ones read behind them
  let held = ''
  let stopped = false

  function release(text: string, last: boolean): string {
    if (stopped) return ''
    held += text
    const found = stops.map(s => held.indexOf(s)).filter(at => at >= 0)
    stopped = found.length > 0
    const until = stopped ? Math.min(...found) : held.length - (last ? 0 : possibleStart(held, stops))
    const out = held.slice(0, until)
    held = held.slice(until)
    return out
  }

  function decoded(last: boolean): string {
    const before = decode(ids.slice(0, shown))
    const all = decode(ids)
    if (!last && (all.endsWith(incomplete) || all.length <= before.length)) return ''
    ids = ids.slice(shown)
    shown = ids.length
    return all.slice(before.length)
  }

  return {
    push(id) {
      ids.push(id)
      return release(decoded(false), false)
    },
    end: () => release(decoded(true), true),
    get stopped() {
      return stopped
    },
  }
}

/** Length of the longest end of `text` that a stop string starts with. */
function possibleStart(text: string, stops: readonly string[]): number {
  const longest = Math.max(0, ...stops.map(s => s.length - 1))
  for (let n = Math.min(longest, text.length); n > 0; n--) {
    if (stops.some(s => s.startsWith(text.slice(-n)))) return n
  }
  return 0
}
