import { after, type Place } from './matcher.ts'

/** What the tokens of a model write, sorted so that those that start alike lie together. */
export class Vocabulary {
  /** Ids that end a text. */
  readonly eos: ReadonlySet<number>
  readonly #bytes: readonly (string | undefined)[]
  readonly #sorted: readonly number[]

  /** @param bytes what `tokenBytes` returns */
  constructor(bytes: readonly (string | undefined)[], eos: readonly number[]) {
    this.#bytes = bytes
    this.eos = new Set(eos)
    const ids = [...bytes.keys()].filter(id => bytes[id] && !this.eos.has(id))
    this.#sorted = ids.sort((a, b) => (bytes[a]! < bytes[b]! ? -1 : bytes[a]! > bytes[b]! ? 1 : 0))
  }

  /** Where a text stands after a token; undefined where that may not come. */
  after(place: Place, id: number): Place | undefined {
    const bytes = this.#bytes[id]
    if (!bytes || this.eos.has(id)) return undefined
    let next: Place | undefined = place
    for (let i = 0; i < bytes.length && next; i++) next = after(next, bytes.charCodeAt(i))
    return next
  }

  /** All tokens that may come, those that end the text included. */
  allowed(place: Place): number[] {
    const found = place.canEnd ? [...this.eos] : []
    // places[n] is where the text stands after the first n bytes of `before`
    const places: Place[] = [place]
    let before = ''
    /** Start of `before` that may not come, and so no token that begins with it. */
    let refused: string | undefined
    for (const id of this.#sorted) {
      const bytes = this.#bytes[id]!
      if (refused !== undefined && bytes.startsWith(refused)) continue
      refused = undefined
      let at = 0
      while (at < places.length - 1 && bytes[at] === before[at]) at++
      places.length = at + 1
      for (; at < bytes.length; at++) {
        const next = after(places[at], bytes.charCodeAt(at))
        if (!next) break
        places.push(next)
      }
      before = bytes
      if (at === bytes.length) found.push(id)
      else refused = bytes.slice(0, at + 1)
    }
    return found
  }
}
