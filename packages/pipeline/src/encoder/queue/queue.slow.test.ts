import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { matrix, random } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compress } from '../../compress.ts'
import { builtInRecipe } from '../../recipes/recipes.ts'
import type { EncodeJob } from '../encode-job.ts'
import { runJob } from '../run-job.ts'
import { queueEncoder, serveQueue } from './index.ts'

const hasRedis = spawnSync('redis-server', ['--version']).status === 0
if (!hasRedis) console.warn('The queue is not tested: there is no redis-server on the path.')

const golden = fixture('models/llama-gqa-tied')

describe.skipIf(!hasRedis)('the queue', () => {
  let folder: string
  let shared: string
  let url: string
  let redis: ChildProcess
  const stop = new AbortController()

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reallm-queue-'))
    shared = join(folder, 'shared')
    const port = await freePort()
    url = `redis://127.0.0.1:${port}`
    redis = spawn('redis-server', ['--port', String(port), '--save', '', '--bind', '127.0.0.1'], {
      cwd: folder,
    })
    for await (const line of redis.stdout!) if (String(line).includes('Ready to accept')) break
  })
  afterAll(async () => {
    stop.abort()
    redis.kill()
    await once(redis, 'exit')
    await rm(folder, { recursive: true, force: true })
  })

  const job = (
    bits: number,
    data = Float32Array.from({ length: 32 * 48 }, random(bits).normal),
  ): EncodeJob => ({
    recipe: 'gptq',
    module: { name: `m${bits}`, kind: 'up_proj', shape: [32, 48], layer: 0 },
    effort: 'fast',
    configurations: [{ id: `grid-${bits + 1}b` }],
    w: matrix(data, [32, 48]),
    seed: 1,
  })

  test('says when nobody is there, and when Redis is not', async () => {
    await expect(queueEncoder({ url, shared })).rejects.toMatchObject({
      code: 'not-found',
      hint: expect.stringContaining('reallm worker --queue'),
    })
    const nowhere = `redis://127.0.0.1:${await freePort()}`
    await expect(queueEncoder({ url: nowhere, shared })).rejects.toMatchObject({ code: 'io' })
  })

  test('workers give what this thread gives, errors too, and leave no files', async () => {
    const workers = [1, 2].map(() => serveQueue({ url, shared, threads: 0, signal: stop.signal }))
    const pool = await untilThere(() => queueEncoder({ url, shared }))
    const jobs = [0, 1, 2, 1].map(bits => job(bits))
    const results = await Promise.all(jobs.map(each => pool.encode(each)))
    for (const [i, [{ encoded, decoded, error }]] of results.entries()) {
      const [here] = await runJob(builtInRecipe('gptq'), jobs[i])
      expect({ encoded, decoded, error }).toEqual({
        encoded: here.encoded,
        decoded: here.decoded,
        error: here.error,
      })
    }
    const broken = job(1, new Float32Array(32 * 48).fill(Number.NaN))
    await expect(pool.encode(broken)).rejects.toMatchObject({ name: 'ReallmError', message: /m1/ })
    await pool.close()
    expect(await readdir(shared)).toEqual([])

    const options = { bits: 4, recipe: 'gptq', effort: 'fast', evaluate: false } as const
    const [alone, together] = [join(folder, 'alone'), join(folder, 'together')]
    await compress(golden, { ...options, to: alone })
    await compress(golden, { ...options, to: together, queue: { url, shared } })
    const bytes = (dir: string) => readFile(join(dir, 'model.safetensors'))
    expect(await bytes(together)).toEqual(await bytes(alone))
    stop.abort()
    await Promise.all(workers)
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Workers take a moment to register. */
async function untilThere<T>(open: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open()
    } catch (error) {
      if (attempt === 50) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}
