import type { Io } from '../src/io.ts'
import { run } from '../src/run.ts'

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a command line in this process. */
export async function reallm(
  args: readonly string[],
  { stdin = '', signal = new AbortController().signal }: { stdin?: string; signal?: AbortSignal } = {},
): Promise<Ran> {
  let out = ''
  let err = ''
  const io: Io = {
    out: text => void (out += text),
    err: text => void (err += text),
    stdin: async () => stdin,
    async *lines() {
      yield* stdin.split('\n')
    },
    isTty: false,
    signal,
    verbose: false,
  }
  const code = await run(args, io)
  return { code, out, err }
}
