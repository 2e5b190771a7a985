/** Compresses a golden model as a page does: files in memory, no modules of Node. Prints what it wrote as JSON. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bytesSource, openFiles, usePageFiles } from '@reallm/tensor-io'
import { useBackend } from '@reallm/transformer'
import { compress } from '../src/index.ts'

const [model] = process.argv.slice(2)
const files = await Promise.all(
  ['config.json', 'model.safetensors'].map(async name => {
    const bytes = new Uint8Array(await readFile(join(model, name)))
    return { name, source: bytesSource(name, bytes) }
  }),
)
await useBackend('wasm')
Object.assign(process, { getBuiltinModule: undefined })
const fetchUrl = globalThis.fetch
Object.assign(globalThis, {
  navigator: { userAgent: 'a page' },
  // Node does not fetch files, as the text that comes with the pipeline is one here
  fetch: (url: string | URL, init?: RequestInit) =>
    String(url).startsWith('file:') ? new Response(readFileSync(new URL(url))) : fetchUrl(url, init),
})
const inMemory = usePageFiles()
for (const bits of [3, 4]) {
  inMemory.remove('out')
  const options = { to: 'out', bits, effort: 'fast', backend: 'wasm' } as const
  const { size } = await compress(await openFiles(files), options)
  const names = [...inMemory.list('out').keys()].sort()
  console.log(
    JSON.stringify({ bitsPerWeight: size.bitsPerWeight, names, work: inMemory.list('out.work').size }),
  )
}
