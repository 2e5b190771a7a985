import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { matrix, type ProgressEvent, random } from '@reallm/tensor-io'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasRedis, startRedis, untilThere } from '../../../test/redis.ts'
import { builtInRecipe } from '../../recipes/recipes.ts'
import { answerOf } from '../answer.ts'
import type { EncodeJob } from '../encode-job.ts'
import type { EncodeResult } from '../encode-matrix.ts'
import { runJob } from '../run-job.ts'
import { answerBytes } from './answer-of-job.ts'
import { connect, type Done, type QueuedJob, queueName, versionHere } from './connection.ts'
import { type QueueOptions, queueEncoder } from './queue-encoder.ts'
import { queueStatus } from './queue-status.ts'
import { answerName, sealed } from './sealed.ts'
import { serveQueue } from './serve-queue.ts'

describe.skipIf(!hasRedis('Faults of the queue are'))('a queue whose parts fail', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  let shared: string
  let url: string

  beforeAll(async () => {
    redis = await startRedis()
    url = redis.url
    shared = join(redis.folder, 'shared')
  })
  afterAll(() => redis.stop())

  const job: EncodeJob = {
    recipe: 'gptq',
    module: { name: 'm', kind: 'up_proj', shape: [32, 48], layer: 0 },
    effort: 'fast',
    configurations: [{ id: 'grid-3b' }],
    w: matrix(Float32Array.from({ length: 32 * 48 }, random(2).normal), [32, 48]),
    seed: 1,
  }
  const errorsOf = async (encoded: Promise<EncodeResult[]>) => (await encoded).map(({ error }) => error)
  const here = () => errorsOf(runJob(builtInRecipe('gptq'), job))

  /** One worker that answers as `respond` says; returns what ends it. */
  async function worker(
    respond: (job: QueuedJob, path: string) => Promise<void>,
    name = 'worker',
  ): Promise<() => Promise<void>> {
    const { bullmq, connection } = await connect(url)
    const made = new bullmq.Worker<QueuedJob, Done>(
      queueName,
      async ({ data }) => {
        await respond(data, join(shared, data.file))
        return { by: name }
      },
      { connection, name },
    )
    made.on('error', () => {})
    await made.waitUntilReady()
    return async () => {
      await made.close(true)
      connection.disconnect()
    }
  }
  const given = async (path: string) => deserialize(await readFile(path)) as EncodeJob
  const write = ({ digest }: QueuedJob, path: string, bytes: Uint8Array) =>
    writeFile(answerName(path), sealed(bytes, digest))
  async function answer(message: QueuedJob, path: string): Promise<void> {
    const job = await given(path)
    await write(message, path, answerBytes(await answerOf(() => runJob(builtInRecipe('gptq'), job))))
  }
  /** A worker as `reallm worker` starts it. */
  function serve(where = shared) {
    const stop = new AbortController()
    const warnings: string[] = []
    const served = serveQueue({
      ...{ url, shared: where, threads: 0, signal: stop.signal },
      onProgress: ({ event, message }) => event === 'warning' && warnings.push(String(message)),
    })
    return {
      warnings,
      end: () => {
        stop.abort()
        return served
      },
    }
  }
  const open = (options: Partial<QueueOptions> = {}) =>
    untilThere(() => queueEncoder({ url, shared, ...options }))

  test('a replica, which takes no jobs, is refused by name with the address of what it copies', async () => {
    const replica = await startRedis(redis.port)
    try {
      await expect(connect(replica.url)).rejects.toMatchObject({
        code: 'io',
        message: `${replica.url}: this Redis is a read-only replica of another one`,
        hint: expect.stringContaining(redis.url),
      })
    } finally {
      await replica.stop()
    }
  })

  test('an altered answer, an altered job and a missing answer are sent again', async () => {
    let tries = 0
    const end = await worker(async (message, path) => {
      tries++
      if (tries === 1) return
      if (tries === 2) await writeFile(path, flipped(await readFile(path)))
      await answer(message, path)
      if (tries === 3) await writeFile(answerName(path), flipped(await readFile(answerName(path))))
    })
    const pool = await open()
    expect(await errorsOf(pool.encode(job))).toEqual(await here())
    expect(tries).toBe(4)
    await pool.close()
    await end()
    expect(await readdir(shared)).toEqual([])
  })

  test('a worker that never answers is not asked for ever', async () => {
    const end = await worker(async () => {})
    const pool = await open()
    await expect(pool.encode(job)).rejects.toMatchObject({
      code: 'io',
      message: 'm: its answer is not among the shared files; it was sent 5 times',
    })
    await pool.close()
    await end()
  })

  const listener = () => {
    const said: string[] = []
    return { said, onProgress: ({ message }: ProgressEvent) => said.push(String(message)) }
  }

  const lies: Record<string, (results: EncodeResult[]) => unknown> = {
    'no results': () => ({ results: [] }),
    'another matrix': ([result]) => ({
      results: [{ ...result, encoded: { ...result.encoded, shape: [16, 96] } }],
    }),
    'other codes': ([result]) => {
      const [name, part] = Object.entries(result.encoded.parts)[0]
      const data = new Uint8Array(part.data.length).fill(1)
      return {
        results: [{ ...result, encoded: { ...result.encoded, parts: { [name]: { ...part, data } } } }],
      }
    },
    'a text': () => 'done',
  }
  test.each(Object.keys(lies))('a worker that answers with %s is found out, another one asked', async lie => {
    const asked: string[] = []
    const endLiar = await worker(async (message, path) => {
      asked.push('liar')
      await write(message, path, serialize(lies[lie](await runJob(builtInRecipe('gptq'), await given(path)))))
    }, 'liar')
    const { said, onProgress } = listener()
    const pool = await open({ onProgress })
    const result = errorsOf(pool.encode(job))
    while (asked.length === 0) await new Promise(resolve => setTimeout(resolve, 10))
    const honest = serve()
    expect(await result).toEqual(await here())
    expect(said[0]).toContain('is no answer to its job')
    await pool.close()
    await Promise.all([endLiar(), honest.end()])
  })

  test('what a stalled worker has is given to another one', async () => {
    const held: Promise<void>[] = []
    let release = () => {}
    const endStalled = await worker(() => {
      const wait = new Promise<void>(resolve => {
        release = resolve
      })
      held.push(wait)
      return wait
    }, 'stalled')
    const { said, onProgress } = listener()
    const pool = await open({ onProgress, stall: 0.2 })
    const result = errorsOf(pool.encode(job))
    while (held.length === 0) await new Promise(resolve => setTimeout(resolve, 10))
    const other = serve()
    expect(await result).toEqual(await here())
    expect(said.some(text => text.includes('its worker has said nothing for'))).toBe(true)
    release()
    await pool.close()
    await Promise.all([endStalled(), other.end()])
    expect(await readdir(shared)).toEqual([])
  })

  test('a worker that cannot use the shared files says so and leaves jobs to others', async () => {
    const place = join(redis.folder, 'elsewhere')
    const lost = serve(place)
    const pool = await open()
    const result = errorsOf(pool.encode(job))
    while (lost.warnings.length === 0) await new Promise(resolve => setTimeout(resolve, 10))
    const other = serve()
    expect(await result).toEqual(await here())
    expect(lost.warnings[0]).toMatch(/^m: .*\.job is not in .*elsewhere$/)
    await pool.close()
    await Promise.all([lost.end(), other.end()])
  })

  test('workers of another version get no jobs; who waits hears of them', async () => {
    const { bullmq, connection } = await connect(url)
    const name = queueName.replace(versionHere, '1-0.0.1-node18-x64')
    const old = new bullmq.Worker(name, async () => {}, { connection, name: 'old' })
    old.on('error', () => {})
    await old.waitUntilReady()
    await new bullmq.Queue(name, { connection }).waitUntilReady()
    await expect(
      untilThere(async () => {
        const { queues } = await queueStatus(url)
        if (!queues.some(each => each.workers.includes('old'))) throw new Error('not yet')
      }),
    ).resolves.toBeUndefined()
    await expect(queueEncoder({ url, shared })).rejects.toThrow(
      `nobody is there to encode: its workers are of version 1-0.0.1-node18-x64, not ${versionHere}`,
    )
    await old.close(true)
    connection.disconnect()
  })

  test('whoever asks hears of runs, workers and jobs', async () => {
    const end = await worker(answer, 'one')
    const pool = await open()
    pool.follow?.({
      event: 'matrix-end',
      name: 'model.layers.0',
      done: 1,
      total: 4,
      overall: { share: 0.25, eta: 9 },
    })
    await pool.encode(job)
    const { runs, queues, version } = await untilThere(async () => {
      const status = await queueStatus(url)
      if (status.runs.length === 0) throw new Error('not yet')
      return status
    })
    expect(runs).toMatchObject([
      { at: 'model.layers.0', share: 0.25, eta: 9, waiting: 0, answered: 1, version },
    ])
    expect(queues.find(each => each.version === version)).toMatchObject({
      workers: ['one'],
      waiting: 0,
      active: 0,
    })
    await pool.close()
    expect((await queueStatus(url)).runs).toEqual([])
    await end()
  })

  test('a job that Redis lost is sent again', async () => {
    const end = await worker(answer)
    const pool = await open()
    await end()
    const { bullmq, connection } = await connect(url)
    const queue = new bullmq.Queue(queueName, { connection })
    const result = errorsOf(pool.encode(job))
    while ((await queue.getWaitingCount()) === 0) await new Promise(resolve => setTimeout(resolve, 10))
    await connection.flushall()
    const endLater = await worker(answer)
    expect(await result).toEqual(await here())
    await Promise.all([pool.close(), endLater(), queue.close()])
    connection.disconnect()
  })

  test('says whom it waits for, and ends when nobody works', async () => {
    const end = await worker(answer)
    const { said, onProgress } = listener()
    const pool = await open({ patience: 3, onProgress })
    await end()
    await expect(pool.encode(job)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/waited \d+ seconds for a worker/),
      hint: expect.stringContaining('reallm worker --queue'),
    })
    expect(said).toEqual([expect.stringContaining('waiting for a worker')])
    await pool.close()
  })

  test('says that Redis went away, and ends', async () => {
    const end = await worker(answer)
    const { said, onProgress } = listener()
    const pool = await open({ patience: 3, onProgress })
    await end()
    redis.server.kill('SIGKILL')
    await once(redis.server, 'exit')
    await expect(pool.encode(job)).rejects.toThrow('for Redis: it does not answer')
    expect(said).toEqual([expect.stringContaining('waiting for Redis')])
    await pool.close()
  })
})

test.each(['localhost:6379', 'redis://host:99999', 'http://host', 'redis'])(
  'an address that is none of a Redis is refused with the form of one: %s',
  async address => {
    const refusal = { code: 'bad-option', hint: expect.stringContaining('redis://host:6379') }
    await expect(connect(address)).rejects.toMatchObject(refusal)
  },
)

function flipped(bytes: Uint8Array): Uint8Array {
  bytes[bytes.length >> 1] ^= 16
  return bytes
}
