import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { compress } from '@reallm/pipeline'
import { forward, loadWeights, openWeights, tf, useBackend } from '@reallm/transformer'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { expect, test } from 'vitest'
import { serve } from '../server/serve.ts'
import { chromiumPath } from './site.ts'

/** Where transformers.js is installed: the tests of the umbrella package run it in Node. */
const umbrella = join(import.meta.dirname, '..', '..', 'packages', 'reallm')
const prompt = 'The whale'

/** What a page does that follows transformers.js' own guide; ONNX Runtime's wasm comes from the same server. */
const script = `
  import { env, pipeline } from '@huggingface/transformers'
  env.allowRemoteModels = false
  env.allowLocalModels = true
  env.localModelPath = '/models/'
  env.useBrowserCache = false
  env.backends.onnx.wasm.wasmPaths = '/ort/'
  env.backends.onnx.wasm.numThreads = 1
  globalThis.run = async prompt => {
    const write = await pipeline('text-generation', 'tiny-onnx', { device: 'wasm' })
    const [{ generated_text }] = await write(prompt, { max_new_tokens: 12, do_sample: false })
    return generated_text
  }
`

test.skipIf(!chromiumPath)(
  'transformers.js in a page writes from our ONNX directory what this project computes with the same file',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'reallm-onnx-page-'))
    const model = join(folder, 'models', 'tiny-onnx')
    await mkdir(join(folder, 'models'))
    await compress('npm:@reallm/tiny', {
      ...{ to: model, target: 'onnx', bits: 5.2, effort: 'fast', backend: 'wasm', seed: 2, evaluate: false },
    })
    await build({
      stdin: { contents: script, resolveDir: umbrella },
      outfile: join(folder, 'page.js'),
      bundle: true,
      format: 'esm',
      target: 'es2022',
      platform: 'browser',
      logLevel: 'error',
    })
    const library = createRequire(join(umbrella, 'package.json')).resolve('@huggingface/transformers')
    const runtime = dirname(createRequire(library).resolve('onnxruntime-web'))
    await mkdir(join(folder, 'ort'))
    for (const name of await readdir(runtime)) {
      if (name.startsWith('ort-wasm')) await copyFile(join(runtime, name), join(folder, 'ort', name))
    }
    await writeFile(join(folder, 'index.html'), '<script type="module" src="./page.js"></script>')
    const server = await serve({ folder })
    const browser = await chromium.launch({ executablePath: chromiumPath!, args: ['--no-sandbox'] })
    try {
      const page = await browser.newPage()
      await page.goto(`${server.url}/`)
      await page.waitForFunction('globalThis.run')
      const text = String(await page.evaluate(`run(${JSON.stringify(prompt)})`))
      expect(text.startsWith(prompt)).toBe(true)
      expect(text.length).toBeGreaterThan(prompt.length + 15)
      const { written, likeliest } = await continuations(model, text)
      expect(likeliest).toEqual(written)
    } finally {
      await browser.close()
      await server.close()
      await rm(folder, { recursive: true })
    }
  },
  400_000,
)

/** The tokens of a text after the prompt, and what this project finds likeliest in place of each. */
async function continuations(model: string, text: string) {
  await useBackend('wasm')
  const written = await openWeights(model)
  const tokenizer = await written.tokenizer()
  const weights = await loadWeights(written)
  const ids = tokenizer.encode(text, { special: true })
  const start = tokenizer.encode(prompt, { special: true }).length
  const found = tf.tidy(() =>
    forward(written.config, weights, tf.tensor2d([ids], undefined, 'int32'))
      .argMax(-1)
      .dataSync(),
  )
  tf.dispose(weights)
  await written.close()
  return { written: ids.slice(start), likeliest: [...found.slice(start - 1, -1)] }
}
