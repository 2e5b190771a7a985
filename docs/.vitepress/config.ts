import { readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { defineConfig } from 'vitepress'
import { isolation } from '../server/serve.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../../packages/reallm/package.json', import.meta.url), 'utf8'),
)

const original = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')
/** Of the embedded model, what the runtime reads. */
const files = [
  'config.json',
  'generation_config.json',
  'model.safetensors',
  'tokenizer.json',
  'tokenizer_config.json',
]

export default defineConfig({
  title: 'ReALLM',
  description: 'Compress, adapt and run language models at 2–4 bits per weight, in TypeScript',
  lang: 'en',
  cleanUrls: true,
  srcExclude: ['examples/**', 'test/**'],
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: '/icon.svg' }]],
  themeConfig: {
    search: { provider: 'local' },
    nav: [{ text: 'Compress', link: '/compress' }],
    footer: { message: `Version ${version}. Code: Apache-2.0. The embedded model: CC0.` },
    outline: [2, 3],
  },
  async buildEnd({ outDir }) {
    for (const file of files) await cp(join(original, file), join(outDir, 'models', 'tiny', file))
  },
  vite: {
    // The packages' TypeScript sources: the site needs no built packages.
    resolve: { conditions: ['@reallm/source'] },
    ssr: { resolve: { conditions: ['@reallm/source'] } },
    worker: { format: 'es' },
    build: { target: 'es2022', chunkSizeWarningLimit: 4000 },
    server: { headers: isolation },
  },
})
