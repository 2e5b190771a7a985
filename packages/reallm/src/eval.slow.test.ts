import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { workFolder } from '@reallm/testing/work-folder'
import { describe, expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const folder = workFolder()
const root = join(import.meta.dirname, '..', '..', '..')
const tiny = join(root, 'packages', 'tiny', 'model')
const compressed = join(root, 'docs', 'public', 'models', 'tiny-3')
const text = ['--text', join(tiny, 'held-out.txt')]

const json = async (...args: string[]) => {
  const { code, out, err } = await reallm(['eval', ...args, '--json'])
  expect(code, err).toBe(0)
  return JSON.parse(out)
}

describe('eval', () => {
  test('says how sure it is, how fast, and what computed it; the second time the figures are of the first', async () => {
    const args = [compressed, ...text, '--ctx', '128', '--windows', '6', '--against', tiny]
    const first = await json(...args)
    expect(first.engine).toMatch(/^wasm \(/)
    expect(first).toMatchObject({ keptWindows: 0, tokensRead: 768, windows: 6 })
    expect(first.tokensPerSecond).toBeGreaterThan(0)
    expect(first.memory).toBeGreaterThan(first.bytes)
    expect(first.intervals.ratio[0]).toBeGreaterThan(1)
    expect(first.intervals.kl[0]).toBeLessThan(first.kl)
    const second = await json(...args)
    expect(second).toMatchObject({ keptWindows: 6, loss: first.loss, kl: first.kl })
    expect(second.tokensPerSecond).toBeUndefined()
    const { out } = await reallm(['eval', ...args])
    expect(out).toContain('6 windows measured before (--no-cache measures anew)')
    expect(await json(...args, '--no-cache')).toMatchObject({ keptWindows: 0, loss: first.loss })
    // Another engine, another figure: nothing is shared between them.
    const float = await json(...args, '--device', 'tfjs')
    expect(float).toMatchObject({ keptWindows: 0, engine: expect.stringMatching(/^tfjs wasm .*float32$/) })
    expect(Math.abs(float.loss - first.loss)).toBeLessThan(1e-3)
    expect(Math.abs(float.kl - first.kl)).toBeLessThan(1e-3)
  })

  test('tells where a model departs from its original, and what it writes', async () => {
    const args = [compressed, ...text, '--ctx', '64', '--windows', '2', '--against', tiny]
    const { layers, generation } = await json(...args, '--layers', '--generation')
    for (const { own, total } of layers) {
      expect(own).toBeGreaterThan(0)
      expect(own).toBeLessThan(1)
      expect(total).toBeGreaterThan(own / 2)
    }
    expect(layers.at(-1).total).toBeGreaterThan(layers[0].total)
    expect(generation).toMatchObject({ prompts: 8, texts: expect.any(Array) })
    expect(generation.agreement).toBeLessThan(1)
    const shown = (await reallm(['eval', ...args, '--layers', '--generation'])).out
    expect(shown).toMatch(/8 continuations: repetition/)
    expect(shown).toMatch(/layer +own error +in all\n +0 /)
    expect((await reallm(['eval', tiny, ...text, '--ctx', '64', '--windows', '2', '--layers'])).err).toMatch(
      /give --against/,
    )
  })

  test('goes on after a kill, to the same figures', { timeout: 180_000 }, async () => {
    const args = ['eval', tiny, ...text, '--ctx', '128', '--windows', '120', '--json']
    const cli = join(root, 'packages', 'reallm', 'dist', 'cli.js')
    const cache = join(folder, 'killed')
    const child = spawn(process.execPath, [cli, ...args], {
      cwd: root,
      env: { ...process.env, REALLM_CACHE: cache },
      stdio: 'ignore',
    })
    const ended = new Promise(resolve => child.once('exit', resolve))
    const kept = async () => {
      const names = await readdir(join(cache, 'evaluations')).catch(() => [])
      return names.filter(name => /^[0-9a-f]{64}\.json$/.test(name))
    }
    while (child.exitCode === null && (await kept()).length === 0) {
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    child.kill('SIGKILL')
    await ended
    const { env } = process
    const before = env.REALLM_CACHE
    env.REALLM_CACHE = cache
    const resumed = await json(...args.slice(1, -1))
    env.REALLM_CACHE = before
    expect(resumed.keptWindows).toBeGreaterThan(0)
    expect(resumed.keptWindows).toBeLessThan(resumed.windows)
    const whole = await json(...args.slice(1, -1), '--no-cache')
    expect(resumed).toMatchObject({ loss: whole.loss, windows: whole.windows, intervals: whole.intervals })
  })
})
