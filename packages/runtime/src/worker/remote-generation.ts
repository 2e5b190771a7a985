import { Generation } from '../generation.ts'
import type { Line } from './line.ts'
import type { Ended } from './messages.ts'

/** A generation whose pieces a Worker makes, one when one is asked for. `begin` returns the number of the call that made it. */
export const remoteGeneration = (
  line: Line,
  signal: AbortSignal | undefined,
  begin: () => Promise<number>,
  ended: (how: Ended) => void,
): Generation =>
  new Generation(async function* (done) {
    const id = await begin()
    const stop = line.abortsWith(id, signal)
    try {
      for (;;) {
        const step = await line.call('next', [id]).answer
        if (step.done) return
        yield step.value
      }
    } finally {
      stop()
      const how = await line.call('end', [id]).answer
      if (how.report) done(how.report)
      ended(how)
    }
  })
