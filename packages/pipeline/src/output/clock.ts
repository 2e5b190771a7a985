import { cpuSeconds, peakMemory } from '#platform'

/** What a run took. */
export interface Usage {
  readonly seconds: number
  /** Processor time of all threads. */
  readonly cpuSeconds: number
  /** Largest resident set of the process, in bytes. */
  readonly peakMemory: number
}

/** Starts to count; the function returned says what was used since. */
export function startClock(): () => Usage {
  const wall = performance.now()
  const cpu = cpuSeconds()
  return () => ({
    seconds: (performance.now() - wall) / 1000,
    cpuSeconds: cpuSeconds() - cpu,
    peakMemory: peakMemory(),
  })
}
