import { ReallmError } from '@reallm/tensor-io'

/** The queue that jobs of all runs go through; the number tells how they are written. */
export const queueName = 'reallm-encode-2'

/** What is sent: where the job's file lies in the shared directory, and its SHA-256. */
export interface QueuedJob {
  readonly file: string
  readonly digest: string
}

interface Connected {
  readonly bullmq: typeof import('bullmq')
  readonly connection: import('ioredis').Redis
}

/** BullMQ and a connection to Redis; throws `unsupported` when it is not installed, `io` when Redis does not answer. */
export async function connect(url: string): Promise<Connected> {
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
  connection.on('error', () => {}) // said below, or by the command that fails
  try {
    await connection.connect()
    connected = true
  } catch (cause) {
    connection.disconnect()
    throw new ReallmError('io', `${url}: Redis does not answer (${(cause as Error).message})`, {
      hint: 'is it running, and reachable from here? redis://host:6379',
      cause,
    })
  }
  return { bullmq, connection }
}
