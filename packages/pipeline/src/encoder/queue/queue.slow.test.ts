import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { matrix, random } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'
import S3rver from 's3rver'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort, hasRedis, startRedis, untilThere } from '../../../test/redis.ts'
import { compress } from '../../compress.ts'
import { builtInRecipe } from '../../recipes/recipes.ts'
import type { EncodeJob } from '../encode-job.ts'
import { runJob } from '../run-job.ts'
import { queueEncoder, serveQueue } from './index.ts'
import { openSharedFiles } from './open-shared-files.ts'

const golden = fixture('models/llama-gqa-tied')

describe.skipIf(!hasRedis('The queue is'))('the queue', () => {
  let redis: Awaited<ReturnType<typeof startRedis>>
  let store: S3rver
  let directory: string
  let url: string
  const bucket = 's3://matrices/of/a run'

  beforeAll(async () => {
    redis = await startRedis()
    url = redis.url
    directory = join(redis.folder, 'shared')
    const buckets = [{ name: 'matrices', configs: [] }]
    const at = { address: '127.0.0.1', port: await freePort() }
    store = new S3rver({
      ...at,
      directory: join(redis.folder, 's3'),
      silent: true,
      configureBuckets: buckets,
    })
    await store.run()
    vi.stubEnv('AWS_ENDPOINT_URL', `http://${at.address}:${at.port}`)
    vi.stubEnv('AWS_REGION', 'us-east-1')
    for (const key of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) vi.stubEnv(key, 'S3RVER')
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await store.close()
    await redis.stop()
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
    await expect(queueEncoder({ url, shared: directory })).rejects.toMatchObject({
      code: 'not-found',
      hint: expect.stringContaining('reallm worker --queue'),
    })
    const nowhere = `redis://127.0.0.1:${await freePort()}`
    await expect(queueEncoder({ url: nowhere, shared: directory })).rejects.toMatchObject({ code: 'io' })
  })

  test('files in a directory or in a bucket are there entirely, or not at all', async () => {
    for (const where of [directory, bucket]) {
      const files = await openSharedFiles(where)
      expect(await files.read('a.job')).toBeUndefined()
      expect(await files.has('a.job')).toBe(false)
      await files.write('a.job', Uint8Array.of(1, 2, 3))
      expect(await files.has('a.job')).toBe(true)
      expect([...(await files.read('a.job'))!]).toEqual([1, 2, 3])
      for (let i = 0; i < 2; i++) await files.remove('a.job')
      expect(await files.has('a.job')).toBe(false)
      files.close()
    }
  })

  test('a bucket that is not there is named, with what to look at', async () => {
    await expect(openSharedFiles('s3://')).rejects.toThrow('it names no bucket')
    const files = await openSharedFiles('s3://nowhere')
    await expect(files.write('a.job', Uint8Array.of(1))).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('s3://nowhere/a.job: the store refused it (NoSuchBucket'),
      hint: expect.stringContaining('AWS_ENDPOINT_URL'),
    })
    files.close()
  })

  test.each(['a directory', 'a bucket'])(
    'by way of %s, workers give what this thread gives, errors too, and leave no files',
    async place => {
      const shared = place === 'a bucket' ? bucket : directory
      const left = async () =>
        place === 'a bucket'
          ? (await readdir(join(redis.folder, 's3', 'matrices'), { recursive: true })).filter(name =>
              name.includes('.job'),
            )
          : readdir(directory)
      const stop = new AbortController()
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
      expect(await left()).toEqual([])

      const options = { bits: 4, recipe: 'gptq', effort: 'fast', evaluate: false } as const
      const [alone, together] = ['alone', 'together'].map(name => join(redis.folder, `${name} by ${place}`))
      await compress(golden, { ...options, to: alone })
      await compress(golden, { ...options, to: together, queue: { url, shared } })
      const bytes = (dir: string) => readFile(join(dir, 'model.safetensors'))
      expect(await bytes(together)).toEqual(await bytes(alone))
      stop.abort()
      await Promise.all(workers)
    },
  )
})
