import type { ToolCall } from './tool-call.ts'

const tag = '<tool_call>'
const severalCalls = /;(?=\s*\{)/

/** The end of an answer. */
interface Ended {
  readonly text: string
  readonly calls: readonly ToolCall[]
  /** Whether the last call has no end. */
  readonly isCut: boolean
}

/**
 * Tells what an answer says from the functions that it calls, as it comes: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`
 * (Hermes, Qwen), or an answer that is `{"name": …, "parameters": {…}}`, several of them behind `;` or in a list
 * (Llama 3, Mistral).
 */
export class ToolCallReader {
  readonly #names: readonly string[]
  #held = ''
  #form: 'unknown' | 'text' | 'tags' | 'json' = 'unknown'

  /** @param names of the functions that may be called: what calls another is text */
  constructor(names: readonly string[]) {
    this.#names = names
  }

  /** What the next piece of the answer says, as far as that is certain. */
  push(piece: string): string {
    this.#held += piece
    if (this.#form === 'unknown') {
      const [first] = this.#held.trimStart()
      if (first === undefined) return ''
      this.#form = first === '{' || first === '[' ? 'json' : 'text'
    }
    if (this.#form !== 'text') return ''
    const at = this.#held.indexOf(tag)
    if (at >= 0) this.#form = 'tags'
    return this.#release(at >= 0 ? at : this.#held.length - possibleTag(this.#held))
  }

  /**
   * What is left to say, and the functions that are called. Where the answer was `cut` within a call, the last one has the
   * arguments that were written, as OpenAI's API has it.
   */
  end(cut = false): Ended {
    const held = this.#release(this.#held.length)
    const calls = this.#callsIn(held)
    if (calls) return { text: '', calls, isCut: false }
    const begun = cut ? this.#begunIn(held) : undefined
    return begun ? { text: '', calls: begun, isCut: true } : { text: held, calls: [], isCut: false }
  }

  #release(until: number): string {
    const text = this.#held.slice(0, until)
    this.#held = this.#held.slice(until)
    return text
  }

  #callsIn(text: string): ToolCall[] | undefined {
    if (this.#form === 'tags') return this.#tagged(text)
    return this.#form === 'json' ? this.#untagged(text) : undefined
  }

  /** Calls of which the last one has no end; undefined where it has not come to its arguments. */
  #begunIn(text: string): ToolCall[] | undefined {
    const parts =
      this.#form === 'tags'
        ? text.split(tag).slice(1)
        : text.trimStart().startsWith('[')
          ? begunList(text)
          : text.split(severalCalls)
    const last = parts.pop() ?? ''
    const before =
      parts.length > 0 ? this.#calls(parts.map(part => parsed(part.split('</tool_call>')[0]))) : []
    if (last === '' && parts.length > 0) return before
    const [, name, written] =
      /^\s*\{\s*"name"\s*:\s*"([^"]*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(\{.*)?$/s.exec(last) ?? []
    if (name === undefined || !this.#names.includes(name)) return undefined
    return before && [...before, { name, arguments: written ?? '' }]
  }

  #tagged(text: string): ToolCall[] | undefined {
    const parts = text.split(tag).slice(1)
    return this.#calls(parts.map(part => parsed(part.split('</tool_call>')[0])))
  }

  #untagged(text: string): ToolCall[] | undefined {
    const whole = parsed(text)
    return this.#calls(whole === undefined ? text.split(severalCalls).map(parsed) : [whole].flat())
  }

  /** Undefined unless all of the values are calls. */
  #calls(values: readonly unknown[]): ToolCall[] | undefined {
    const calls = values.map(value => {
      const { name, arguments: given, parameters = given } = Object(value) as Record<string, unknown>
      if (typeof name !== 'string' || !this.#names.includes(name)) return undefined
      const isText = typeof parameters === 'string' && typeof parsed(parameters) === 'object'
      if (!isText && (typeof parameters !== 'object' || parameters === null)) return undefined
      return { name, arguments: isText ? parameters : JSON.stringify(parameters) }
    })
    return calls.length > 0 && !calls.includes(undefined) ? (calls as ToolCall[]) : undefined
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The elements of a list that was cut: those that are complete, as JSON, and what was written of the last one. */
function begunList(text: string): string[] {
  const ends = [...text.matchAll(/,\s*(?=\{|$)|$/g)].reverse()
  for (const { index, 0: comma } of ends) {
    const before = parsed(`${text.slice(0, index)}]`)
    if (Array.isArray(before))
      return [...before.map(each => JSON.stringify(each)), text.slice(index + comma.length)]
  }
  return [text.replace('[', '')]
}

/** Length of the longest end of `text` that the tag starts with. */
function possibleTag(text: string): number {
  for (let n = Math.min(tag.length - 1, text.length); n > 0; n--) if (tag.startsWith(text.slice(-n))) return n
  return 0
}
