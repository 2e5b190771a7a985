import { readFileSync } from 'node:fs'

/** Seconds that a process's main thread had a core, and that it waited for one because others had them. */
export interface CoreTime {
  readonly ran: number
  readonly waited: number
}

/** As Linux's scheduler counts them since the process began; worker threads are left out. */
export function coreTime(pid: number): CoreTime {
  const counted = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')
  const [ran, waited] = counted.split(' ').map(nanoseconds => Number(nanoseconds) / 1e9)
  return { ran, waited }
}

/** What passed between two readings. */
export const between = (before: CoreTime, after: CoreTime): CoreTime => ({
  ran: after.ran - before.ran,
  waited: after.waited - before.waited,
})
