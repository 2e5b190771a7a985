import { cpuSeconds, peakMemory } from '#platform'

/** Time that something took. */
export interface Duration {
  /** By the clock. */
  readonly seconds: number
  /** Processor time of all threads. */
  readonly cpuSeconds: number
}

/** What one stage took. */
interface StageUsage extends Duration {
  /** Largest resident set of the process up to the stage's end, in bytes. */
  readonly peakMemory: number
}

/** What a run took. */
export interface Usage extends Duration {
  /** Each stage's part, by its name: what was done before is in none. */
  readonly stages: Readonly<Record<string, StageUsage>>
  /** Largest resident set of the process, in bytes. */
  readonly peakMemory: number
}

/** Counts what a run takes. */
export interface Clock {
  /** Ends a stage: what was used since the last one, or since the start, is its. */
  endStage(name: string): void
  usage(): Usage
}

/** Starts to count. */
export function startClock(): Clock {
  const now = (): Duration => ({ seconds: performance.now() / 1000, cpuSeconds: cpuSeconds() })
  const since = (before: Duration, after: Duration): Duration => ({
    seconds: after.seconds - before.seconds,
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
  })
  const start = now()
  const stages: Record<string, StageUsage> = {}
  let last = start
  return {
    endStage(name) {
      const end = now()
      stages[name] = { ...since(last, end), peakMemory: peakMemory() }
      last = end
    },
    usage: () => ({ ...since(start, now()), stages, peakMemory: peakMemory() }),
  }
}
