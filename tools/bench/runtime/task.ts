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
  /** A directory that `compress --target onnx` wrote. */
  readonly onnx?: string | undefined
  /** In pages: on WebGPU. */
  readonly gpu?: boolean | undefined
  /** Seconds until a contender is given up. */
  readonly patience: number
}

/**
 * Tokens per second, the best of all rounds, and bytes. In Node also tokens per second of processor time, which other
 * work on the machine disturbs less.
 */
export interface Measured {
  readonly what: string
  readonly prompt: number
  readonly decode: number
  readonly promptCpu?: number | undefined
  readonly decodeCpu?: number | undefined
  /** Absent where nothing tells it. */
  readonly memory?: number | undefined
}

/** The task of a contender's process. */
export const readTask = (): Task => JSON.parse(process.argv[2])

/** A text of about so many tokens; `salt` keeps caches of earlier rounds from helping. */
export function promptText(tokens: number, salt: number): string {
  const sentence = `In round ${salt} the river rose again, and the people of the valley carried their books uphill. `
  return sentence.repeat(Math.ceil(tokens / 20))
}

/** Tokens per second: by the clock and of processor time, all threads counted. */
export async function timed(
  tokens: number,
  work: () => Promise<void>,
): Promise<{ wall: number; cpu: number }> {
  const start = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { wall: (1000 * tokens) / (performance.now() - start), cpu: (1e6 * tokens) / (user + system) }
}
