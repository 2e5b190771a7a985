// How long a page waits for the compressed SmolLM2: at the first visit, and when the browser has kept it. In Chromium, CPU seconds
// of all its processes beside the time on the clock, which other work on the machine lengthens. The click comes two seconds after
// the page.
//
//   npx tsx --conditions=@reallm/source tools/bench/second-visit.ts [--visits 3] [--threads 2] [--record]
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { serve } from '../../docs/server/serve.ts'
import { openBrowser } from '../../docs/test/site.ts'
import { packages, startBench } from '../results/record.ts'
import { childCpuSeconds } from './second-visit/processes.ts'
import type { Visit } from './second-visit/visit.ts'

const { values } = parseArgs({
  options: {
    visits: { type: 'string', default: '3' },
    threads: { type: 'string', default: '2' },
  },
})
const finish = startBench({
  name: 'second-visit',
  what: 'From a click until the first word of SmolLM2 in a page, files from the same machine. Waits are for the browser (its cache, digests, requests) and overlap with other work.',
  sources: packages('tensor-io', 'kernels', 'runtime'),
  columns: {
    visit: { label: 'visit' },
    threads: { label: 'threads', digits: 0 },
    cpu: { label: 'CPU s until the first word', unit: 's', digits: 2 },
    opened: { label: 'opened, s', unit: 's', digits: 2 },
    loaded: { label: 'loaded, s', unit: 's', digits: 2 },
    firstWord: { label: 'first word, s', unit: 's', digits: 2 },
    load: { label: 'processes that want to run', digits: 1 },
    requests: { label: 'requests', digits: 0 },
    cache: { label: 'waits: cache, s', unit: 's', digits: 2 },
    digests: { label: 'digests, s', unit: 's', digits: 2 },
  },
  key: ['visit', 'threads'],
  seed: null,
})

/** Milliseconds between the opening of the page and the click. */
const READS = 2000

const folder = mkdtempSync(join(tmpdir(), 'second-visit-'))
await build({
  entryPoints: [join(import.meta.dirname, 'second-visit', 'visit.ts')],
  ...{ bundle: true, splitting: true, format: 'esm', target: 'es2022', outdir: folder, minify: true },
  conditions: ['@reallm/source'],
})
symlinkSync(resolve(import.meta.dirname, '..', '..', 'packages', 'smollm2', 'model'), join(folder, 'model'))
writeFileSync(join(folder, 'index.html'), '<!doctype html><title>visit</title>')
const site = await serve({ folder })
const browser = await openBrowser()
const context = await browser.newContext()
const rows = []
for (let i = 0; i <= Number(values.visits); i++) {
  const page = await context.newPage()
  await page.goto(`${site.url}/`)
  // a visitor reads before the click; meanwhile Chromium starts the process of the next page, which takes a second of the cores
  await page.waitForTimeout(READS)
  const before = childCpuSeconds()
  const visit = await page.evaluate(
    threads =>
      new Promise<Visit>((resolve, reject) => {
        const worker = new Worker('/visit.js', { type: 'module' })
        worker.onmessage = ({ data }) => resolve(data)
        worker.onerror = ({ message }) => reject(new Error(message))
        worker.postMessage({ url: new URL('/model/', location.href).href, threads })
      }),
    Number(values.threads),
  )
  const { waits, answer, cacheReads, ...figures } = visit
  if (!answer.includes('Paris')) throw new Error(`the model answered ${JSON.stringify(answer)}`)
  const { match = 0, put = 0, arrayBuffer = 0, digest = 0 } = waits
  const row = {
    ...{ visit: i === 0 ? 'first' : `${i + 1}`, ...figures, cpu: childCpuSeconds() - before },
    ...{ load: loadavg()[0], cache: match + put + arrayBuffer, digests: digest },
  }
  console.log(JSON.stringify({ ...row, cacheReads, waits }))
  rows.push(row)
  await page.close()
}
await browser.close()
await site.close()
rmSync(folder, { recursive: true })
finish(rows)
