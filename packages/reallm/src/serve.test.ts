import { afterEach, describe, expect, test } from 'vitest'
import type { Io } from './io.ts'
import { run } from './run.ts'

afterEach(() => {
  delete process.env.REALLM_API_KEY
})

/** Starts a server; `end` stops it as Ctrl-C does and returns the exit code. */
async function start(...args: string[]) {
  const stop = new AbortController()
  let err = ''
  let heard = () => {}
  const io: Io = {
    out: text => expect.fail(text),
    err(text) {
      err += text
      heard()
    },
    stdin: async () => '',
    async *lines() {},
    isTty: false,
    signal: stop.signal,
    verbose: false,
  }
  const code = run(['serve', 'npm:@reallm/tiny', '--port', '0', ...args], io)
  const url = await new Promise<string>((resolve, reject) => {
    heard = () => {
      const found = /(http:\S+)\/v1\n/.exec(err)?.[1]
      if (found) resolve(found)
    }
    code.then(() => reject(new Error(err)))
  })
  const end = async () => {
    stop.abort()
    return { code: await code, err }
  }
  return { url, end }
}

describe('reallm serve', () => {
  test('answers until Ctrl-C, and lets what was begun end', async () => {
    const { url, end } = await start('--log', '--context', '64')
    const ask = (body: object) =>
      fetch(`${url}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          model: 'tiny',
          prompt: 'It was the',
          temperature: 0,
          max_tokens: 200,
          ...body,
        }),
      })
    const streamed = await ask({ stream: true })
    const ended = end()
    expect(await streamed.text()).toMatch(/"finish_reason":"length"[^\n]*\n\ndata: \[DONE\]\n\n$/)
    const { code, err } = await ended
    expect(code).toBe(0)
    expect(err).toMatch(/POST \/v1\/completions 200 [\d.]+ s\n/)
    await expect(ask({})).rejects.toThrow()
  })

  test('has a temperature for requests that name none', async () => {
    const { url, end } = await start('--temperature', '0')
    const ask = async (seed: number) => {
      const body = JSON.stringify({ prompt: 'It was the', max_tokens: 8, seed })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body })
      return ((await answer.json()) as { choices: { text: string }[] }).choices[0].text
    }
    expect(await ask(1)).toBe(await ask(2))
    await end()
  })

  test('takes its key from the environment', async () => {
    process.env.REALLM_API_KEY = 'secret'
    const { url, end } = await start('--name', 'mine', '--host', 'localhost')
    expect((await fetch(`${url}/v1/models`)).status).toBe(401)
    const models = await fetch(`${url}/v1/models`, { headers: { authorization: 'Bearer secret' } })
    expect(await models.json()).toMatchObject({ data: [{ id: 'mine' }] })
    await end()
  })

  test('opens no machine without a key', async () => {
    await expect(start('--host', '0.0.0.0')).rejects.toThrow(
      /0\.0\.0\.0: anybody.*hint: set an API key.*REALLM_API_KEY/s,
    )
  })
})
