import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { type LongWork, ReallmError, warn, writeFileAtomic } from '@reallm/tensor-io'
import { type Answer, resultsOf } from '../answer.ts'
import type { EncodeJob, Encoder } from '../encode-job.ts'
import type { EncodeResult } from '../encode-matrix.ts'
import { connect, type QueuedJob, queueName } from './connection.ts'
import { answerPath, digestOf, readSealed, sealed } from './sealed.ts'
import { watchWork } from './watch-work.ts'

export interface QueueOptions extends LongWork {
  /** `redis://host:6379` */
  readonly url: string
  /** A directory that this machine and all workers see; matrices go through it, Redis holds only their files' names. */
  readonly shared: string
  /** Seconds without a working machine after which the run ends with an error; default 45. */
  readonly patience?: number | undefined
}

/** A job that is not answered yet. */
interface Sent {
  readonly module: string
  readonly path: string
  readonly contents: Uint8Array
  readonly digest: string
  /** How often it was sent. */
  tries: number
  /** Its id in the queue. */
  id: string
  /** Whether the queue has taken it. */
  queued: boolean
  answered(results: EncodeResult[]): void
  failed(error: Error): void
}

const mostTries = 5

/**
 * Hands matrices to whoever runs `serveQueue` on the same Redis: one job each. A job whose worker died is given to
 * another one; one that Redis lost, or whose answer was altered, is sent again. `onProgress` hears whom the run waits for.
 *
 * @throws `unsupported` without bullmq, `io` when Redis does not answer, `not-found` when no worker is there, at the start
 *   or for `patience` seconds
 */
export async function queueEncoder(options: QueueOptions): Promise<Encoder> {
  const { url, shared, signal, patience = 45 } = options
  const { bullmq, connection } = await connect(url)
  await mkdir(shared, { recursive: true })
  const queue = new bullmq.Queue<QueuedJob>(queueName, { connection })
  const listening = connection.duplicate()
  const events = new bullmq.QueueEvents(queueName, { connection: listening })
  // what fails is tried again, or ends the run after a while
  queue.on('error', () => {})
  events.on('error', () => {})
  listening.on('error', () => {})
  await events.waitUntilReady()
  const workers = await queue.getWorkersCount()
  const waiting = new Map<string, Sent>()
  const hint = `start workers, on any machine: reallm worker --queue ${url} --shared ${shared}`

  const failAll = (error: Error) => {
    for (const sent of waiting.values()) sent.failed(error)
  }
  async function send(sent: Sent): Promise<void> {
    waiting.delete(sent.id)
    sent.queued = false
    sent.id = `${randomUUID()}-${++sent.tries}`
    waiting.set(sent.id, sent)
    await writeFileAtomic(sent.path, sealed(sent.contents, sent.digest))
    const data = { file: basename(sent.path), digest: sent.digest }
    const once = { jobId: sent.id, removeOnComplete: true, removeOnFail: true }
    await queue.add(sent.module, data, once)
    sent.queued = true
  }
  async function again(sent: Sent, reason: string): Promise<void> {
    if (sent.tries < mostTries) return send(sent)
    sent.failed(
      new ReallmError('io', `${sent.module}: ${reason}; it was sent ${sent.tries} times`, {
        hint: `look at the workers and at the disk of ${shared}`,
      }),
    )
  }
  /** Takes the answer to a job; false when there is none. */
  async function take(sent: Sent): Promise<boolean> {
    const { id } = sent
    const answer = await readSealed(answerPath(sent.path), sent.digest).catch((error: Error) => error)
    if (waiting.get(id) !== sent) return true
    if (!(answer instanceof Error)) {
      const results = deserialize(answer) as Answer
      waiting.delete(id)
      try {
        sent.answered(resultsOf(results))
      } catch (error) {
        sent.failed(error as Error)
      }
      return true
    }
    if (!(answer instanceof ReallmError)) return false
    waiting.delete(id)
    await rm(answerPath(sent.path), { force: true })
    await again(sent, answer.message)
    return true
  }
  async function takeOrSend(sent: Sent, reason: string): Promise<void> {
    const { id } = sent
    if (await take(sent)) return
    // several may have found the same
    if (waiting.delete(id)) await again(sent, reason)
  }
  const settle = (id: string, reason: string) => {
    const sent = waiting.get(id)
    if (!sent) return
    takeOrSend(sent, reason).catch(sent.failed)
  }
  events.on('completed', ({ jobId }) => settle(jobId, 'its answer is not in the shared directory'))
  events.on('failed', ({ jobId, failedReason }) => settle(jobId, failedReason))

  const unwatch = watchWork({
    url,
    queue,
    patience,
    locks: keys => connection.exists(...keys),
    isReady: () => connection.status === 'ready',
    isWaiting: () => waiting.size > 0,
    queued: () => [...waiting.keys()].filter(id => waiting.get(id)!.queued),
    lost: id => settle(id, 'Redis lost it'),
    say: text => warn(options, text),
    giveUp: reason => failAll(new ReallmError('not-found', reason, { hint })),
  })
  async function close(): Promise<void> {
    unwatch()
    failAll(new ReallmError('aborted', 'stopped on request'))
    const closed = Promise.allSettled([queue.close(), events.close()])
    // without Redis there is nobody to say goodbye to
    if (connection.status === 'ready') await closed
    for (const each of [connection, listening]) each.disconnect()
  }
  if (workers === 0) {
    await close()
    throw new ReallmError('not-found', `${url}: nobody is there to encode`, { hint })
  }
  signal?.addEventListener('abort', close, { once: true })

  return {
    threads: workers,
    close,
    async encode({ checkpoints: _, ...job }: EncodeJob) {
      const path = join(shared, `${randomUUID()}.job`)
      const contents = serialize(job)
      let sent: Sent | undefined
      try {
        return await new Promise<EncodeResult[]>((answered, failed) => {
          const digest = digestOf(contents)
          sent = {
            module: job.module.name,
            path,
            contents,
            digest,
            tries: 0,
            id: '',
            queued: false,
            answered,
            failed,
          }
          send(sent).catch(failed)
        })
      } finally {
        if (sent) waiting.delete(sent.id)
        for (const made of [path, answerPath(path)]) await rm(made, { force: true })
      }
    },
  }
}
