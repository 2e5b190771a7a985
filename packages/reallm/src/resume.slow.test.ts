import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fixture } from '@reallm/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

const golden = fixture('models/llama-gqa-tied')
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))

let folder: string
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'reallm-resume-'))))
afterAll(() => rm(folder, { recursive: true, force: true }))

const start = (out: string, ...more: string[]): ChildProcess =>
  spawn(
    process.execPath,
    [cli, ...['compress', golden, '-o', out, '--recipe', 'gptq', '--effort', 'fast', '--no-eval', ...more]],
    { env: { ...process.env, REALLM_CACHE: join(folder, 'cache') } },
  )

async function finished(child: ChildProcess) {
  let err = ''
  child.stderr!.on('data', chunk => void (err += chunk))
  const [code] = await once(child, 'close')
  return { code, err }
}

/** Matrices that a run has finished. */
const done = (out: string) => {
  const matrices = join(`${out}.work`, 'matrices')
  return existsSync(matrices) ? readdirSync(matrices).filter(name => name.endsWith('.json')).length : 0
}

test('killed, refused with other options, resumed: the same bytes as without the kill', {
  timeout: 120_000,
}, async () => {
  const [whole, killed] = [join(folder, 'whole', 'm'), join(folder, 'killed', 'm')]
  const untouched = finished(start(whole, '-b', '3'))
  const victim = start(killed, '-b', '3')
  while (done(killed) < 5 && victim.exitCode === null) await new Promise(resolve => setTimeout(resolve, 20))
  victim.kill('SIGKILL')
  await once(victim, 'close')
  expect(done(killed)).toBeGreaterThanOrEqual(5)
  expect(existsSync(killed)).toBe(false)

  const again = await finished(start(killed, '-b', '3'))
  expect(again).toMatchObject({ code: 1, err: expect.stringMatching(/unfinished run\n {2}hint: .*--resume/) })
  const changed = await finished(start(killed, '-b', '2.5', '--resume'))
  expect(changed).toMatchObject({ code: 1, err: expect.stringMatching(/bits was 3 .*, and is 2\.5 now/) })

  expect((await finished(start(killed, '-b', '3', '--resume'))).code).toBe(0)
  expect((await untouched).code).toBe(0)
  expect(existsSync(`${killed}.work`)).toBe(false)
  for (const name of ['model.safetensors', 'model.safetensors.index.json', 'config.json', 'README.md']) {
    expect(await readFile(join(killed, name))).toEqual(await readFile(join(whole, name)))
  }
})
