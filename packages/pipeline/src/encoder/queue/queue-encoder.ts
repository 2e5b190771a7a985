import { randomUUID } from 'node:crypto'
import { serialize } from 'node:v8'
import { type LongWork, type ProgressEvent, ReallmError, warn } from '@reallm/tensor-io'
import type { EncodeJob, Encoder } from '../encode-job.ts'
import type { EncodeResult } from '../encode-matrix.ts'
import { resultsFrom } from './answer-of-job.ts'
import { connect, type Done, type QueuedJob, queueName, versionHere } from './connection.ts'
import { openSharedFiles } from './open-shared-files.ts'
import { queueStatus } from './queue-status.ts'
import { forgetRun, tellRun } from './run-status.ts'
import { answerName, digestOf, unsealed } from './sealed.ts'
import { shownUrl } from './shown-url.ts'
import { watchWork } from './watch-work.ts'

/** Where matrices are handed to other machines. */
export interface QueueOptions extends LongWork {
  /** `redis://host:6379` */
  readonly url: string
  /**
   * What this machine and all workers see: a directory, or `s3://bucket/prefix`. Matrices go through it, Redis holds only
   * their files' names.
   */
  readonly shared: string
  /** Seconds without a working machine after which the run ends with an error; default 45. */
  readonly patience?: number | undefined
  /**
   * Seconds that any machine may take for a matrix, default 600; after them, and ten times what others took for as many
   * weights, another one gets it too.
   */
  readonly stall?: number | undefined
}

/** A job that is not answered yet. */
interface Sent {
  readonly job: EncodeJob
  readonly file: string
  readonly contents: Uint8Array
  readonly digest: string
  /** Workers that failed at it. */
  readonly not: Set<string>
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
/** How many times longer than the slowest so far a matrix may take. */
const slack = 10
/** Milliseconds between what is told about the run. */
const telling = 2000

const weightsOf = ({ w, configurations }: EncodeJob) => w.data.length * configurations.length

/**
 * Hands matrices to whoever runs `serveQueue` of this version on the same Redis: one job each. A job whose worker died,
 * failed, stalled or gave a wrong answer is given to another one; one that Redis lost is sent again. `onProgress` hears
 * whom the run waits for.
 *
 * @throws `unsupported` without bullmq, `io` when Redis does not answer, `not-found` when no worker is there, at the start
 *   or for `patience` seconds
 */
export async function queueEncoder(options: QueueOptions): Promise<Encoder> {
  const { url, shared, signal, patience = 45, stall = 600 } = options
  const files = await openSharedFiles(shared)
  const { bullmq, connection } = await connect(url)
  const queue = new bullmq.Queue<QueuedJob>(queueName, { connection })
  const listening = connection.duplicate()
  const events = new bullmq.QueueEvents(queueName, { connection: listening })
  // what fails is tried again, or ends the run after a while
  queue.on('error', () => {})
  events.on('error', () => {})
  listening.on('error', () => {})
  await events.waitUntilReady()
  const workers = await queue.getWorkersCount()
  const run = randomUUID()
  const waiting = new Map<string, Sent>()
  const hint = `start workers, on any machine: reallm worker --queue ${shownUrl(url)} --shared ${shared}`
  let answered = 0
  let secondsPerWeight: number | undefined
  let latest: ProgressEvent | undefined

  const failAll = (error: Error) => {
    for (const sent of waiting.values()) sent.failed(error)
  }
  async function send(sent: Sent): Promise<void> {
    waiting.delete(sent.id)
    sent.queued = false
    sent.id = `${randomUUID()}-${++sent.tries}`
    waiting.set(sent.id, sent)
    await files.write(sent.file, sent.contents)
    if (sent.not.size >= (await queue.getWorkersCount())) sent.not.clear()
    const data = { file: sent.file, digest: sent.digest, not: [...sent.not] }
    const once = { jobId: sent.id, removeOnComplete: true, removeOnFail: true }
    await queue.add(sent.job.module.name, data, once)
    sent.queued = true
  }
  async function again(sent: Sent, reason: string): Promise<void> {
    const { name } = sent.job.module
    if (sent.tries < mostTries) {
      warn(options, `${name}: ${reason}; another worker gets it`)
      return send(sent)
    }
    sent.failed(
      new ReallmError('io', `${name}: ${reason}; it was sent ${sent.tries} times`, {
        hint: `look at the workers and at the disk of ${shared}`,
      }),
    )
  }
  /** The results in a job's answer; undefined when there is none. */
  async function answerTo({ file, digest, job }: Sent): Promise<EncodeResult[] | undefined> {
    const name = answerName(file)
    const bytes = await files.read(name)
    return bytes && resultsFrom(name, unsealed(name, bytes, digest), job)
  }
  /** Takes the answer to a job, or sends it again: to others than `by`. */
  async function settle(sent: Sent, by: string | undefined, reason: string): Promise<void> {
    const { id } = sent
    const results = await answerTo(sent).catch((error: Error) => error)
    // several may have found the same
    if (waiting.get(id) !== sent) return
    waiting.delete(id)
    if (Array.isArray(results)) {
      answered++
      const seconds = results.reduce((sum, result) => sum + result.seconds, 0)
      secondsPerWeight = Math.max(secondsPerWeight ?? 0, seconds / weightsOf(sent.job))
      return sent.answered(results)
    }
    const refused = results instanceof ReallmError && ['integrity', 'io'].includes(results.code)
    if (results && !refused) return sent.failed(results)
    if (by !== undefined) sent.not.add(by)
    await files.remove(answerName(sent.file))
    await again(sent, results?.message ?? reason)
  }
  const settleJob = (id: string, by: string | undefined, reason: string) => {
    const sent = waiting.get(id)
    if (sent) settle(sent, by, reason).catch(sent.failed)
  }
  events.on('completed', ({ jobId, returnvalue }) => {
    const { by, failed } = Object(returnvalue) as Partial<Done>
    settleJob(jobId, by, failed ?? 'its answer is not among the shared files')
  })
  events.on('failed', ({ jobId, failedReason }) => settleJob(jobId, undefined, failedReason))

  const unwatch = watchWork({
    url: shownUrl(url),
    queue,
    patience,
    locks: keys => connection.exists(...keys),
    isReady: () => connection.status === 'ready',
    isWaiting: () => waiting.size > 0,
    queued: () => [...waiting.keys()].filter(id => waiting.get(id)!.queued),
    lost: id => settleJob(id, undefined, 'Redis lost it'),
    working(id, seconds, by) {
      const sent = waiting.get(id)
      if (!sent) return
      const usual =
        secondsPerWeight === undefined ? 6 * stall : slack * secondsPerWeight * weightsOf(sent.job)
      if (seconds < Math.max(stall, usual)) return
      settleJob(id, by, `its worker has said nothing for ${Math.round(seconds)} seconds`)
    },
    say: text => warn(options, text),
    giveUp: reason => failAll(new ReallmError('not-found', reason, { hint })),
  })
  const tell = setInterval(() => {
    const jobs = { waiting: waiting.size, answered }
    if (connection.status === 'ready') tellRun(connection, run, jobs, latest ?? {}).catch(() => {})
  }, telling)
  async function close(): Promise<void> {
    unwatch()
    clearInterval(tell)
    failAll(new ReallmError('aborted', 'stopped on request'))
    const closed = Promise.allSettled([forgetRun(connection, run), queue.close(), events.close()])
    // without Redis there is nobody to say goodbye to
    if (connection.status === 'ready') await closed
    for (const each of [connection, listening]) each.disconnect()
    files.close()
  }
  if (workers === 0) {
    const { queues } = await queueStatus(url)
    await close()
    const others = queues.filter(each => each.workers.length > 0).map(each => each.version)
    const why =
      others.length > 0 ? `: its workers are of version ${others.join(', ')}, not ${versionHere}` : ''
    throw new ReallmError('not-found', `${shownUrl(url)}: nobody is there to encode${why}`, { hint })
  }
  signal?.addEventListener('abort', close, { once: true })

  return {
    threads: workers,
    close,
    follow(event) {
      latest = { ...event, overall: event.overall ?? latest?.overall }
    },
    async encode({ checkpoints: _, ...job }: EncodeJob) {
      const file = `${randomUUID()}.job`
      const contents = serialize(job)
      let sent: Sent | undefined
      try {
        return await new Promise<EncodeResult[]>((resolve, failed) => {
          const state = { not: new Set<string>(), tries: 0, id: '', queued: false }
          sent = { job, file, contents, digest: digestOf(contents), ...state, answered: resolve, failed }
          send(sent).catch(failed)
        })
      } finally {
        if (sent) waiting.delete(sent.id)
        for (const made of [file, answerName(file)]) await files.remove(made).catch(() => {})
      }
    },
  }
}
