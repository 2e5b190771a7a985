import { readFileSync } from 'node:fs'
import { ReallmError } from '@reallm/tensor-io'
import { shownUrl } from './shown-url.ts'

/** What the queues of all versions begin with. */
const family = 'reallm-encode'
/** How jobs and answers are written. */
const format = 4

const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** What must be alike for the same bytes, in words: the release, Node's and the processor's kind. */
export const versionHere = `${format}-${version}-node${process.versions.node.split('.')[0]}-${process.arch}`

/** The queue that jobs of all runs of this version go through: workers of other versions do not see them. */
export const queueName = `${family}-${versionHere}`

/** The version that a queue's name tells; undefined for other queues. */
export const versionOf = (name: string): string | undefined =>
  name.startsWith(`${family}-`) ? name.slice(family.length + 1) : undefined

/** What is sent: the name of the job's file among the shared ones, and its SHA-256. */
export interface QueuedJob {
  readonly file: string
  readonly digest: string
  /** Names of the workers that failed at it: others shall try. */
  readonly not: readonly string[]
}

/** What a worker says when it is through with a job. */
export interface Done {
  /** The worker's name. */
  readonly by: string
  /** Why there is no answer. */
  readonly failed?: string | undefined
}

interface Connected {
  readonly bullmq: typeof import('bullmq')
  readonly connection: import('ioredis').Redis
}

/**
 * BullMQ and a connection to Redis.
 *
 * @throws `bad-option` for what is no address of a Redis; `unsupported` when BullMQ is not installed; `io` when Redis does not
 *   answer, or is a replica that takes no jobs
 */
export async function connect(url: string): Promise<Connected> {
  if (!URL.canParse(url) || !/^rediss?:$/.test(new URL(url).protocol)) {
    throw new ReallmError('bad-option', `${shownUrl(url)}: that is no address of a Redis`, {
      hint: 'write redis://host:6379, or redis://:password@host:6379',
    })
  }
  const [bullmq, { Redis }] = await Promise.all([import('bullmq'), import('ioredis')]).catch(cause => {
    throw new ReallmError('unsupported', '--queue: bullmq and ioredis are not installed', {
      hint: 'npm install bullmq ioredis',
      cause,
    })
  })
  let connected = false
  const connection = new Redis(url, {
    lazyConnect: true,
    // BullMQ's workers wait for jobs: their commands must not be given up
    maxRetriesPerRequest: null,
    // a Redis that was there once is waited for
    retryStrategy: attempt => (connected || attempt < 5 ? Math.min(5000, 200 * attempt) : null),
  })
  let reason: string | undefined
  // said below, or by the command that fails
  connection.on('error', ({ message }) => {
    reason = message
  })
  try {
    await connection.connect()
    connected = true
  } catch (cause) {
    connection.disconnect()
    throw new ReallmError(
      'io',
      `${shownUrl(url)}: Redis does not answer (${reason ?? (cause as Error).message})`,
      {
        hint: 'is it running, reachable from here, and is the password right? redis://:password@host:6379',
        cause,
      },
    )
  }
  await checkTakesJobs(connection, url)
  return { bullmq, connection }
}

/** Throws `io` for a replica: jobs and answers are written. */
async function checkTakesJobs(connection: Connected['connection'], url: string): Promise<void> {
  // whom Redis does not let ask, it tells by the first command that it refuses
  const role = await connection.role().catch(() => [])
  if (role[0] !== 'slave') return
  connection.disconnect()
  throw new ReallmError('io', `${shownUrl(url)}: this Redis is a read-only replica of another one`, {
    hint: `give the address of the one that it copies: redis://${role[1]}:${role[2]}`,
  })
}
