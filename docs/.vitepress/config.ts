import { readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { defineConfig } from 'vitepress'
import { isolation } from '../server/serve.ts'
import { sidebar } from './sidebar.ts'
import { originalFiles } from './theme/shared/embedded.ts'

const { version } = JSON.parse(
  readFileSync(new URL('../../packages/reallm/package.json', import.meta.url), 'utf8'),
)

const original = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')
const real = join(import.meta.dirname, '..', '..', 'packages', 'smollm2', 'model')
/** Of the real model, what nobody reads in a page. */
const needless = /^README\.md$|\.html$/

/** TensorFlow.js's WebAssembly, for the live examples that compute with it. */
const fromTransformer = createRequire(new URL('../../packages/transformer/package.json', import.meta.url))
const tfjsFolder = dirname(fromTransformer.resolve('@tensorflow/tfjs-backend-wasm'))
const tfjsWasm = ['', '-simd', '-threaded-simd'].map(kind =>
  join(tfjsFolder, `tfjs-backend-wasm${kind}.wasm`),
)

/** Characters of a table's cell from which on it is made wider: the table scrolls rather than give it a column of single words. */
const wideCells = { phrase: 14, sentence: 40 }

export default defineConfig({
  title: 'ReALLM',
  description: 'Compress, adapt and run language models at 2–4 bits per weight, in TypeScript',
  lang: 'en',
  cleanUrls: true,
  // a visitor's bytes are for what was asked
  router: { prefetchLinks: false },
  // `npm run api` writes these pages
  ignoreDeadLinks: [/^\/api\//],
  srcExclude: ['examples/**', 'test/**'],
  head: [['link', { rel: 'icon', type: 'image/svg+xml', href: '/icon.svg' }]],
  markdown: {
    config(md) {
      md.core.ruler.push('wide-cells', ({ tokens }) => {
        for (const [i, token] of tokens.entries()) {
          if (token.type !== 'td_open') continue
          const length = tokens[i + 1].children!.reduce((sum, { content }) => sum + content.length, 0)
          if (length > wideCells.sentence) token.attrJoin('class', 'sentence')
          else if (length > wideCells.phrase) token.attrJoin('class', 'phrase')
        }
      })
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    sidebar: { '/guides/': sidebar, '/packages/': sidebar, '/api/': sidebar },
    nav: [
      { text: 'Compress', link: '/compress' },
      { text: 'Fine-tune', link: '/finetune' },
      { text: 'Guides', link: '/guides/node', activeMatch: '/guides/(?!faq)' },
      { text: 'Packages', link: '/packages/reallm', activeMatch: '/packages/|/api/' },
      { text: 'Questions', link: '/guides/faq' },
    ],
    footer: {
      message: `Version ${version}. Code: Apache-2.0. The embedded model: CC0. SmolLM2: Apache-2.0, by Hugging Face.`,
    },
    outline: [2, 3],
  },
  async buildEnd({ outDir }) {
    for (const file of tfjsWasm) await cp(file, join(outDir, 'tfjs', basename(file)))
    for (const file of originalFiles) await cp(join(original, file), join(outDir, 'models', 'tiny', file))
    await cp(real, join(outDir, 'models', 'smollm2'), {
      recursive: true,
      filter: source => !needless.test(basename(source)),
    })
  },
  vite: {
    // The packages' TypeScript sources: the site needs no built packages.
    resolve: { conditions: ['@reallm/source'] },
    ssr: { resolve: { conditions: ['@reallm/source'] } },
    worker: { format: 'es' },
    build: { target: 'es2022', chunkSizeWarningLimit: 4000, reportCompressedSize: false },
    server: { headers: isolation },
  },
})
