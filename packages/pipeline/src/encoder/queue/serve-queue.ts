import { randomBytes } from 'node:crypto'
import { availableParallelism, hostname } from 'node:os'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { deserialize } from 'node:v8'
import { type LongWork, ReallmError, warn } from '@reallm/tensor-io'
import { builtInRecipe } from '../../recipes/recipes.ts'
import { answerOf } from '../answer.ts'
import type { EncodeJob, Encoder } from '../encode-job.ts'
import { openEncoder } from '../encoder.ts'
import { answerBytes } from './answer-of-job.ts'
import { connect, type Done, type QueuedJob, queueName } from './connection.ts'
import { openSharedFiles } from './open-shared-files.ts'
import { answerName, requireDigest, sealed } from './sealed.ts'

/** Options of a worker. */
export interface ServeQueueOptions extends LongWork {
  /** `redis://host:6379` */
  readonly url: string
  /** What the machine with `compress --queue` writes to: a directory, or `s3://bucket/prefix`. */
  readonly shared: string
  /** Matrices at a time; default one per core. */
  readonly threads?: number | undefined
}

/** Milliseconds that a worker leaves jobs to others after its files failed, doubled each time up to the largest. */
const firstPause = 2000
const longestPause = 60_000

/**
 * Encodes matrices for runs on other machines until `signal` aborts; what was begun is finished first. `onProgress`
 * hears of `matrix-end` and, as `warning`, of what failed.
 *
 * @throws `unsupported` without bullmq, `io` when Redis does not answer
 */
export async function serveQueue({ url, shared, signal, ...options }: ServeQueueOptions): Promise<void> {
  const threads = options.threads ?? availableParallelism()
  const files = await openSharedFiles(shared)
  const { bullmq, connection } = await connect(url)
  const name = `${hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`
  const encoders = new Map<string, Promise<Encoder>>()
  const encoderFor = (recipe: string) => {
    const known = encoders.get(recipe) ?? openEncoder(builtInRecipe(recipe), { threads })
    encoders.set(recipe, known)
    return known
  }
  let done = 0
  let failures = 0

  /** Answers a job; throws when its file or the answer's cannot be read or written. */
  async function answer({ file: given, digest }: QueuedJob): Promise<void> {
    const file = basename(given)
    const bytes = await files.read(file)
    if (bytes === undefined) throw new ReallmError('not-found', `${file} is not in ${shared}`)
    requireDigest(file, bytes, digest)
    const job = deserialize(bytes) as EncodeJob
    const encoded = await answerOf(async () => (await encoderFor(job.recipe)).encode(job))
    // a run that has ended, or has an answer, took its job away
    if (await files.has(file)) await files.write(answerName(file), sealed(answerBytes(encoded), digest))
  }

  const queue = new bullmq.Queue<QueuedJob>(queueName, { connection })
  queue.on('error', () => {})
  const worker = new bullmq.Worker<QueuedJob, Done>(
    queueName,
    async (job, token) => {
      if (job.data.not.includes(name) && (await queue.getWorkersCount()) > 1) {
        await job.moveToDelayed(Date.now() + 500, token)
        throw new bullmq.DelayedError()
      }
      try {
        await answer(job.data)
        failures = 0
        options.onProgress?.({ event: 'matrix-end', name: job.name, done: ++done, total: done })
        return { by: name }
      } catch (error) {
        const { message } = error as Error
        warn(options, `${job.name}: ${message}`)
        void leaveToOthers()
        return { by: name, failed: message }
      }
    },
    // a machine that says nothing for half a minute is taken for dead, and its job given to another
    { connection, name, concurrency: Math.max(1, threads), lockDuration: 30_000, maxStalledCount: 3 },
  )

  /** A disk that is full would take one job after another, and fail at each. */
  async function leaveToOthers(): Promise<void> {
    const pause = Math.min(longestPause, firstPause * 2 ** failures++)
    if (worker.isPaused()) return
    await worker.pause(true)
    await sleep(pause, undefined, { signal }).catch(() => {})
    if (!signal?.aborted) worker.resume()
  }

  worker.on('error', () => {}) // the connection comes back by itself
  await worker.waitUntilReady()
  if (!signal?.aborted)
    await new Promise(resolve => signal?.addEventListener('abort', resolve, { once: true }))
  await worker.close()
  await queue.close()
  for (const encoder of encoders.values()) await (await encoder).close()
  connection.disconnect()
  files.close()
}
