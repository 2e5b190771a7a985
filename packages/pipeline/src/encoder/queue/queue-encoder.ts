import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { ReallmError, writeFileAtomic } from '@reallm/tensor-io'
import { type Answer, resultsOf } from '../answer.ts'
import type { Encoder } from '../encode-job.ts'
import { connect, type QueuedJob, queueName } from './connection.ts'

export interface QueueOptions {
  /** `redis://host:6379` */
  readonly url: string
  /** A directory that this machine and all workers see; matrices go through it, Redis holds only their files' names. */
  readonly shared: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Hands matrices to whoever runs `serveQueue` on the same Redis: one job each. A job whose worker died is given to
 * another one.
 *
 * @throws `unsupported` without bullmq, `io` when Redis does not answer, `not-found` when no worker is there
 */
export async function queueEncoder({ url, shared, signal }: QueueOptions): Promise<Encoder> {
  const { bullmq, connection } = await connect(url)
  await mkdir(shared, { recursive: true })
  const queue = new bullmq.Queue<QueuedJob>(queueName, { connection })
  const events = new bullmq.QueueEvents(queueName, { connection: connection.duplicate() })
  await events.waitUntilReady()
  const workers = await queue.getWorkersCount()
  const waiting = new Set<(error: Error) => void>()

  async function close(): Promise<void> {
    for (const reject of waiting) reject(new ReallmError('aborted', 'stopped on request'))
    await Promise.all([queue.close(), events.close()])
    connection.disconnect()
  }
  if (workers === 0) {
    await close()
    throw new ReallmError('not-found', `${url}: nobody is there to encode`, {
      hint: `start workers first, on any machine: reallm worker --queue ${url} --shared ${shared}`,
    })
  }
  signal?.addEventListener('abort', close, { once: true })

  return {
    threads: workers,
    close,
    async encode({ checkpoints: _, ...job }) {
      const file = `${randomUUID()}.job`
      const path = join(shared, file)
      await writeFileAtomic(path, serialize(job))
      const sent = await queue.add(
        job.module.name,
        { file },
        { attempts: 3, removeOnComplete: true, removeOnFail: true },
      )
      try {
        await new Promise((resolve, reject) => {
          waiting.add(reject)
          sent
            .waitUntilFinished(events)
            .then(resolve, reject)
            .finally(() => waiting.delete(reject))
        })
        return resultsOf(deserialize(await readFile(`${path}.answer`)) as Answer)
      } finally {
        for (const made of [path, `${path}.answer`]) await rm(made, { force: true })
      }
    },
  }
}
