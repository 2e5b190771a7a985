/** Jobs that are sent together. */
export interface Wave {
  /** Seconds that the machine which sends them works for them first. */
  readonly before: number
  /** Seconds of each job on a worker. */
  readonly jobs: readonly number[]
}

export interface Farm {
  readonly workers: number
  /** Jobs at a time, for each worker; more are not sent. */
  readonly ahead: number
  /** Whether a wave's results are needed before work for the next one begins. */
  readonly waits: boolean
}

/** Seconds until all is done: each job goes to the worker that is free first, as soon as it is sent. */
export function makespan(waves: readonly Wave[], { workers, ahead, waits }: Farm): number {
  const free = new Array<number>(workers).fill(0)
  const ends: number[] = []
  let now = 0
  for (const { before, jobs } of waves) {
    now += before
    for (const seconds of jobs) {
      const open = ends.filter(end => end > now).sort((a, b) => a - b)
      const tooMany = open.length - workers * ahead
      if (tooMany >= 0) now = open[tooMany]
      const first = free.indexOf(Math.min(...free))
      free[first] = Math.max(free[first], now) + seconds
      ends.push(free[first])
    }
    if (waits) now = Math.max(now, ...ends)
  }
  return Math.max(now, ...ends)
}
