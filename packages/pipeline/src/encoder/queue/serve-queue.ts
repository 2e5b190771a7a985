import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { type LongWork, writeFileAtomic } from '@reallm/tensor-io'
import { builtInRecipe } from '../../recipes/recipes.ts'
import { answerOf } from '../answer.ts'
import type { EncodeJob, Encoder } from '../encode-job.ts'
import { openEncoder } from '../encoder.ts'
import { connect, type QueuedJob, queueName } from './connection.ts'
import { answerPath, readSealed, sealed } from './sealed.ts'

export interface ServeQueueOptions extends LongWork {
  /** `redis://host:6379` */
  readonly url: string
  /** The directory that the machine with `compress --queue` writes to. */
  readonly shared: string
  /** Matrices at a time; default one per core. */
  readonly threads?: number | undefined
}

/**
 * Encodes matrices for runs on other machines until `signal` aborts; what was begun is finished first. `onProgress`
 * hears of `matrix-end`.
 *
 * @throws `unsupported` without bullmq, `io` when Redis does not answer
 */
export async function serveQueue({
  url,
  shared,
  signal,
  onProgress,
  ...options
}: ServeQueueOptions): Promise<void> {
  const threads = options.threads ?? availableParallelism()
  const { bullmq, connection } = await connect(url)
  const encoders = new Map<string, Promise<Encoder>>()
  const encoderFor = (recipe: string) => {
    const known = encoders.get(recipe) ?? openEncoder(builtInRecipe(recipe), { threads })
    encoders.set(recipe, known)
    return known
  }
  let done = 0
  const worker = new bullmq.Worker<QueuedJob>(
    queueName,
    async ({ data, name }) => {
      const path = join(shared, basename(data.file))
      const job = deserialize(await readSealed(path, data.digest)) as EncodeJob
      const answer = await answerOf(async () => (await encoderFor(job.recipe)).encode(job))
      await writeFileAtomic(answerPath(path), sealed(serialize(answer), data.digest))
      onProgress?.({ event: 'matrix-end', name, done: ++done, total: done })
    },
    // a machine that says nothing for half a minute is taken for dead, and its job given to another
    { connection, concurrency: Math.max(1, threads), lockDuration: 30_000, maxStalledCount: 3 },
  )
  worker.on('error', () => {}) // the connection comes back by itself
  await worker.waitUntilReady()
  if (!signal?.aborted)
    await new Promise(resolve => signal?.addEventListener('abort', resolve, { once: true }))
  await worker.close()
  for (const encoder of encoders.values()) await (await encoder).close()
  connection.disconnect()
}
