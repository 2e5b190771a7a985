import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { matrix, type ProgressEvent, random } from '@reallm/tensor-io'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtInRecipe } from '../../recipes/recipes.ts'
import { answerOf } from '../answer.ts'
import type { EncodeJob, Encoder } from '../encode-job.ts'
import type { EncodeResult } from '../encode-matrix.ts'
import { runJob } from '../run-job.ts'
import { connect, type QueuedJob, queueName } from './connection.ts'
import { type QueueOptions, queueEncoder } from './queue-encoder.ts'
import { answerPath, readSealed, sealed } from './sealed.ts'

const hasRedis = spawnSync('redis-server', ['--version']).status === 0
if (!hasRedis) console.warn('Faults of the queue are not tested: there is no redis-server on the path.')

describe.skipIf(!hasRedis)('a queue whose parts fail', () => {
  let folder: string
  let shared: string
  let url: string
  let redis: ChildProcess

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reallm-faults-'))
    shared = join(folder, 'shared')
    const port = await freePort()
    url = `redis://127.0.0.1:${port}`
    const options = ['--port', String(port), '--save', '', '--bind', '127.0.0.1']
    redis = spawn('redis-server', options, { cwd: folder })
    for await (const line of redis.stdout!) if (String(line).includes('Ready to accept')) break
  })
  afterAll(async () => {
    redis.kill()
    await rm(folder, { recursive: true, force: true })
  })

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
  async function worker(respond: (job: QueuedJob, path: string) => Promise<void>) {
    const { bullmq, connection } = await connect(url)
    const made = new bullmq.Worker<QueuedJob>(
      queueName,
      ({ data }) => respond(data, join(shared, data.file)),
      { connection },
    )
    made.on('error', () => {})
    await made.waitUntilReady()
    return async () => {
      await made.close(true)
      connection.disconnect()
    }
  }
  async function answer({ digest }: QueuedJob, path: string): Promise<void> {
    const given = deserialize(await readSealed(path, digest)) as EncodeJob
    const answer = await answerOf(() => runJob(builtInRecipe('gptq'), given))
    await writeFile(answerPath(path), sealed(serialize(answer), digest))
  }
  /** Workers take a moment to register. */
  async function open(options: Partial<QueueOptions> = {}): Promise<Encoder> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await queueEncoder({ url, shared, ...options })
      } catch (error) {
        if (attempt === 50) throw error
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
  }

  test('an altered answer, an altered job and a missing answer are sent again', async () => {
    let tries = 0
    const end = await worker(async (message, path) => {
      tries++
      if (tries === 1) return
      if (tries === 2) await writeFile(path, flipped(await readFile(path)))
      await answer(message, path)
      if (tries === 3) await writeFile(answerPath(path), flipped(await readFile(answerPath(path))))
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
      message: 'm: its answer is not in the shared directory; it was sent 5 times',
    })
    await pool.close()
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

  const listener = () => {
    const said: string[] = []
    return { said, onProgress: ({ message }: ProgressEvent) => said.push(String(message)) }
  }

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
    redis.kill('SIGKILL')
    await once(redis, 'exit')
    await expect(pool.encode(job)).rejects.toThrow('for Redis: it does not answer')
    expect(said).toEqual([expect.stringContaining('waiting for Redis')])
    await pool.close()
  })
})

function flipped(bytes: Uint8Array): Uint8Array {
  bytes[bytes.length >> 1] ^= 16
  return bytes
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}
