/** Seconds of jobs that are sent at once. */
export type Wave = readonly number[]

/** Seconds until all are done: each job of a wave goes to the worker that is free first, and a wave waits for the one before. */
export function makespan(waves: readonly Wave[], workers: number): number {
  let now = 0
  for (const wave of waves) {
    const free = new Array<number>(workers).fill(now)
    for (const seconds of wave) {
      const first = free.indexOf(Math.min(...free))
      free[first] += seconds
    }
    now = Math.max(...free)
  }
  return now
}
