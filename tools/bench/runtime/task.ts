/** What every contender measures. */
export interface Task {
  readonly model: string
  readonly artifact: string | undefined
  /** Where the other libraries are installed. */
  readonly folder: string | undefined
  readonly promptTokens: number
  readonly tokens: number
  readonly threads: number
  readonly rounds: number
  readonly weights: string
}

/** Tokens per second, the best of all rounds, and bytes. */
export interface Measured {
  readonly what: string
  readonly prompt: number
  readonly decode: number
  readonly memory: number
}

/** The task of a contender's process. */
export const readTask = (): Task => JSON.parse(process.argv[2])

/** A text of about so many tokens; `salt` keeps caches of earlier rounds from helping. */
export function promptText(tokens: number, salt: number): string {
  const sentence = `In round ${salt} the river rose again, and the people of the valley carried their books uphill. `
  return sentence.repeat(Math.ceil(tokens / 20))
}
