import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningServer, serve } from '../server/serve.ts'

let folder: string
let site: RunningServer

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-serve-'))
  await mkdir(join(folder, 'assets'))
  await writeFile(join(folder, 'assets', 'app.abc123.js'), 'export {}')
  await writeFile(join(folder, 'page.html'), '<title>page</title>')
  site = await serve({ folder })
})
afterAll(async () => {
  await site.close()
  await rm(folder, { recursive: true })
})

test('assets are kept by browsers; of all else they ask whether it has changed', async () => {
  const asset = await fetch(`${site.url}/assets/app.abc123.js`)
  expect(asset.headers.get('cache-control')).toContain('immutable')
  const page = await fetch(`${site.url}/page`)
  expect([page.status, page.headers.get('cache-control'), await page.text()]).toEqual([
    200,
    'no-cache',
    '<title>page</title>',
  ])
  const again = await fetch(`${site.url}/page`, { headers: { 'If-None-Match': page.headers.get('etag')! } })
  expect([again.status, await again.text()]).toEqual([304, ''])
})

test('ranges are answered, and those beyond the end refused', async () => {
  const range = (value: string) => fetch(`${site.url}/page`, { headers: { Range: value } })
  const part = await range('bytes=1-5')
  expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
    206,
    'bytes 1-5/19',
    'title',
  ])
  expect((await range('bytes=19-20')).status).toBe(416)
})
