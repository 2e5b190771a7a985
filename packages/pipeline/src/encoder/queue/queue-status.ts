import { connect, versionHere, versionOf } from './connection.ts'
import type { RunStatus } from './run-record.ts'
import { keysOf, runsOn } from './run-status.ts'

/** How far the work of a queue is, and who works. */
export interface QueueStatus {
  /** The version of whoever asks: only workers of a run's version work for it. */
  readonly version: string
  readonly runs: readonly RunStatus[]
  /** By the version of their workers. */
  readonly queues: readonly {
    readonly version: string
    readonly workers: readonly string[]
    /** Matrices that wait for a worker, and those that are being encoded. */
    readonly waiting: number
    readonly active: number
  }[]
}

/**
 * What goes on in the queues on a Redis: runs, workers and jobs of all versions.
 *
 * @throws `unsupported` without bullmq, `io` when Redis does not answer
 */
export async function queueStatus(url: string): Promise<QueueStatus> {
  const { bullmq, connection } = await connect(url)
  try {
    const queues = []
    for (const key of await keysOf(connection, 'bull:*:meta')) {
      const name = key.slice('bull:'.length, -':meta'.length)
      const version = versionOf(name)
      if (version === undefined) continue
      const queue = new bullmq.Queue(name, { connection })
      const workers = await queue.getWorkers()
      const { waiting, active, delayed } = await queue.getJobCounts('waiting', 'active', 'delayed')
      const names = workers.map(({ rawname }) => rawname?.split(':w:')[1] ?? 'unnamed').sort()
      queues.push({ version, workers: names, waiting: waiting + delayed, active })
      await queue.close()
    }
    return { version: versionHere, runs: await runsOn(connection), queues }
  } finally {
    connection.disconnect()
  }
}
