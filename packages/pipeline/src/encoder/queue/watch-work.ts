import type { Queue } from 'bullmq'

/** What is watched, and who hears of it. */
export interface Watched {
  readonly url: string
  readonly queue: Queue
  /** Seconds without work after which `giveUp` is called. */
  readonly patience: number
  /** How many of these keys Redis has. */
  locks(keys: string[]): Promise<number>
  /** Whether the connection to Redis stands. */
  isReady(): boolean
  /** Whether any job is waited for. */
  isWaiting(): boolean
  /** Ids of those that the queue has taken. */
  queued(): string[]
  /** The queue does not know this job: it was lost, or is done. */
  lost(id: string): void
  /** A worker has had this job for so many seconds. */
  working(id: string, seconds: number, worker: string | undefined): void
  say(text: string): void
  giveUp(reason: string): void
}

/** Milliseconds between looks. */
const INTERVAL = 1000
/** Seconds without work after which is said whom the run waits for, unless it is over before. */
const QUIET = 5

/**
 * Looks after jobs in a queue: whether Redis still knows them, and whether some machine works. A worker holds a lock for
 * each of its jobs, and renews it while it lives.
 *
 * @returns what ends the watch
 */
export function watchWork(watched: Watched): () => void {
  const { url, queue, patience } = watched
  let worked = Date.now()
  let said = false
  let looking = false

  async function look(): Promise<void> {
    const ids = watched.queued()
    const jobs = await Promise.all(ids.map(id => queue.getJob(id)))
    for (const [i, id] of ids.entries()) {
      const { processedOn, processedBy } = jobs[i] ?? {}
      if (!jobs[i]) watched.lost(id)
      else if (processedOn !== undefined) watched.working(id, (Date.now() - processedOn) / 1000, processedBy)
    }
    const [workers, active] = await Promise.all([queue.getWorkersCount(), queue.getActive()])
    if (workers === 0 || active.length === 0) return
    if ((await watched.locks(active.map(({ id }) => `${queue.toKey(String(id))}:lock`))) > 0)
      worked = Date.now()
  }

  const timer = setInterval(() => {
    if (!watched.isWaiting()) worked = Date.now()
    const quiet = (Date.now() - worked) / 1000
    const missing = watched.isReady() ? 'a worker: none works' : 'Redis: it does not answer'
    if (quiet < Math.min(QUIET, patience / 2)) said = false
    else if (!said) {
      watched.say(`${url}: waiting for ${missing}`)
      said = true
    }
    if (quiet > patience) {
      watched.giveUp(`${url}: waited ${Math.round(quiet)} seconds for ${missing}`)
    }
    if (looking || !watched.isReady()) return
    looking = true
    look()
      .catch(() => {}) // Redis went away meanwhile
      .finally(() => {
        looking = false
      })
  }, INTERVAL)
  return () => clearInterval(timer)
}
