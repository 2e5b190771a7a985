import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockFolder } from './lock.ts'

let folder: string
let work: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lock-'))
  work = join(folder, 'out.work')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const lock = (resume = false) => lockFolder(work, { program: 'reallm compress', resume })

/** Leaves a lock as a process of these properties would. */
async function leave(holder: object, number = 1) {
  await mkdir(work, { recursive: true })
  const whole = {
    process: process.pid,
    host: hostname(),
    program: 'reallm compress',
    since: Date.now(),
    ...holder,
  }
  await writeFile(join(work, `lock.${number}.json`), JSON.stringify(whole))
}

async function endedProcess(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  return child.pid!
}

test('the second run is told who is at work, with --resume too, until the first releases', async () => {
  const first = await lock()
  for (const resume of [false, true]) {
    await expect(lock(resume)).rejects.toMatchObject({
      code: 'bad-option',
      message: expect.stringMatching(
        new RegExp(
          `out\\.work is being written by process ${process.pid} \\(reallm compress\\) since \\d{4}-.* \\d\\d:\\d\\d`,
        ),
      ),
      hint: expect.stringMatching(/wait for it, or choose another/),
    })
  }
  await first.release()
  await (await lock()).release()
  expect(await readdir(folder)).toEqual([])
})

test("a dead process's lock is taken over by --resume alone", async () => {
  await leave({ process: await endedProcess() })
  await expect(lock()).rejects.toMatchObject({
    message: expect.stringMatching(/unfinished run/),
    hint: expect.stringMatching(/--resume/),
  })
  await writeFile(join(work, 'work'), 'kept')
  const taken = await lock(true)
  expect((await readdir(work)).sort()).toEqual(['lock.2.json', 'work'])
  await taken.release()
  expect(await readFile(join(work, 'work'), 'utf8')).toBe('kept')
})

test('a number that now belongs to another process, and a lock that was never written out, are of the dead', async () => {
  await leave({ birth: 'another start 1', since: 0 })
  await (await lock(true)).release()
  await leave({})
  await writeFile(join(work, 'lock.2.json'), '')
  await (await lock(true)).release()
})

test('a lock of another machine is never taken over; the way out is named', async () => {
  await leave({ host: 'elsewhere', process: 4711 })
  await expect(lock(true)).rejects.toMatchObject({
    message: expect.stringMatching(/process 4711 on elsewhere/),
    hint: expect.stringMatching(/delete .*lock\.1\.json.*--resume/),
  })
})

test('of many starters exactly one wins, for a new directory and for a dead lock', async () => {
  const starters = () => Promise.allSettled(Array.from({ length: 20 }, () => lock(true)))
  for (const before of [async () => {}, async () => leave({ process: await endedProcess() })]) {
    await before()
    const results = await starters()
    const won = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    expect(won).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason.message).toMatch(/is being written by/)
    }
    await won[0].remove()
    expect(await readdir(folder)).toEqual([])
  }
})

test('removal leaves nothing, and what a kill inside one has left goes with the next run', async () => {
  await mkdir(`${work}.removed-12345678`)
  const held = await lock()
  await writeFile(join(work, 'matrix'), 'x')
  expect(await readdir(folder)).toEqual(['out.work'])
  await held.remove()
  const next = await lock()
  await held.release()
  expect(await readdir(work)).toEqual(['lock.1.json'])
  await next.remove()
  expect(await readdir(folder)).toEqual([])
})
