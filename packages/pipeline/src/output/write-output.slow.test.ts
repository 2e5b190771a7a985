import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeOutput } from './write-output.ts'

let folder: string
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'write-output-'))))
afterEach(() => rm(folder, { recursive: true, force: true }))

const program = 'a test'
const names = ['config.json', 'model-00001-of-00001.safetensors', 'tokenizer.json']
const write = (to: string, contents: string, force = false) =>
  writeOutput(to, { program, inputs: {}, force }, async staged => {
    for (const name of names) await writeFile(join(staged, name), contents)
    return contents
  })

test('a failure leaves the place as it was', async () => {
  const to = join(folder, 'out')
  const failing = async (staged: string) => {
    await writeFile(join(staged, 'config.json'), 'half')
    throw new Error('the model ends here')
  }
  await expect(writeOutput(to, { program, inputs: {} }, failing)).rejects.toThrow(/ends here/)
  expect(await readdir(folder)).toEqual([])
  expect(await write(to, 'whole')).toBe('whole')
  await expect(writeOutput(to, { program, inputs: {}, force: true }, failing)).rejects.toThrow(/ends here/)
  expect(await readFile(join(to, 'config.json'), 'utf8')).toBe('whole')
  expect(await readdir(folder)).toEqual(['out'])
})

test('what another command has left unfinished is not touched', async () => {
  await mkdir(join(folder, 'out.work'))
  await writeFile(join(folder, 'out.work', 'checkpoint.safetensors'), 'hours of work')
  await expect(write(join(folder, 'out'), 'x')).rejects.toThrow(/unfinished run/)
  expect(await readdir(join(folder, 'out.work'))).toEqual(['checkpoint.safetensors'])
})

/** Replaces the contents of `out` in a process that ends itself before its nth rename. */
async function killed(to: string, n: number): Promise<string | number> {
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href)
  const script = `
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    import { join } from 'node:path'
    const { rename } = fs.promises
    let left = ${n}
    fs.promises.rename = async (from, to) => {
      if (left-- === 0) process.kill(process.pid, 'SIGKILL')
      await rename(from, to)
    }
    syncBuiltinESMExports()
    const { writeOutput } = await import(${url('./write-output.ts')})
    await writeOutput(${JSON.stringify(to)}, { program: 'a test', inputs: {}, force: true }, async staged => {
      for (const name of ${JSON.stringify(names)}) fs.writeFileSync(join(staged, name), 'new')
    })`
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm')).href
  const flags = ['--conditions=@reallm/source', '--import', tsx, '--input-type=module', '-e', script]
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code, signal] = await once(child, 'exit')
  return signal ?? code
}

test('killed before any of its renames: the old is there, or the next run finishes', {
  timeout: 120_000,
}, async () => {
  const [old, to] = [join(folder, 'old'), join(folder, 'out')]
  await write(old, 'old')
  for (let n = 0; ; n++) {
    await cp(old, to, { recursive: true })
    const end = await killed(to, n)
    if (end === 0) {
      expect(n).toBeGreaterThan(names.length)
      break
    }
    expect(end).toBe('SIGKILL')
    const config = await readFile(join(to, 'config.json'), 'utf8').catch(() => 'none')
    const others = await Promise.all(names.slice(1).map(name => readFile(join(to, name), 'utf8')))
    // never a model of mixed files
    if (config !== 'none') expect(new Set([config, ...others]).size).toBe(1)
    await write(to, 'again', true)
    expect((await readdir(to)).sort()).toEqual(['.reallm.json', ...names])
    expect(await readFile(join(to, 'tokenizer.json'), 'utf8')).toBe('again')
    expect((await readdir(folder)).sort()).toEqual(['old', 'out'])
    await rm(to, { recursive: true })
  }
})
