import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { build } from 'esbuild'
import { inChromium, serve } from './chromium.ts'
import { type Measured, readTask } from './task.ts'

const task = readTask()
const out = mkdtempSync(join(tmpdir(), 'reallm-bench-'))
await build({
  entryPoints: [new URL('in-page.ts', import.meta.url).pathname],
  outdir: out,
  bundle: true,
  splitting: true,
  format: 'esm',
  target: 'es2022',
  conditions: ['@reallm/source', 'browser'],
  logLevel: 'error',
})
const model = task.artifact ? 'model/' : `model/${basename(task.model)}`
const settings = JSON.stringify({ ...task, url: model })
const server = await serve(
  { '/app/': `${out}/`, '/model/': `${task.artifact ?? dirname(task.model)}/` },
  `<script type="module">import { run } from './app/in-page.js'
globalThis.run = () => run(${settings})</script>`,
)
try {
  const { browser, ...measured } = await inChromium<Measured>(task, server.url)
  console.log(JSON.stringify({ ...measured, what: `${measured.what}, ${browser}` }))
} finally {
  server.close()
  rmSync(out, { recursive: true })
}
process.exit(0)
