import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import { inChromium, serve } from './chromium.ts'
import { type Measured, promptText, readTask } from './task.ts'

const task = readTask()
const prompts = Array.from({ length: task.rounds }, (_, i) => promptText(task.promptTokens, i))
const script = `
import { AutoModelForCausalLM, AutoTokenizer, BaseStreamer, Tensor, env } from '@huggingface/transformers'

env.allowRemoteModels = false
env.allowLocalModels = true
env.localModelPath = '/models/'
env.useBrowserCache = false
env.backends.onnx.wasm.wasmPaths = '/ort/'
env.backends.onnx.wasm.numThreads = ${task.threads}

/** Tells when the prompt comes (first), and each token. */
class Clock extends BaseStreamer {
  times = []
  put() {
    this.times.push(performance.now())
  }
  end() {}
}

globalThis.run = async () => {
  const tokenizer = await AutoTokenizer.from_pretrained('onnx')
  const model = await AutoModelForCausalLM.from_pretrained('onnx', { device: '${task.gpu ? 'webgpu' : 'wasm'}' })
  const best = { prompt: 0, decode: 0, promptCpu: 0, decodeCpu: 0 }
  for (const prompt of ${JSON.stringify(prompts)}) {
    const ids = tokenizer.encode(prompt).slice(0, ${task.promptTokens}).map(BigInt)
    const shape = [1, ids.length]
    const input_ids = new Tensor('int64', BigInt64Array.from(ids), shape)
    const attention_mask = new Tensor('int64', new BigInt64Array(ids.length).fill(1n), shape)
    const write = async count => {
      const streamer = new Clock()
      const settings = { max_new_tokens: count, min_new_tokens: count, do_sample: false, streamer }
      const before = await cpuSeconds()
      const start = performance.now()
      await model.generate({ input_ids, attention_mask, ...settings })
      return { start, times: streamer.times.slice(1), cpu: (await cpuSeconds()) - before }
    }
    // one token costs the prompt and one step; the others cost what is left
    const one = await write(1)
    const all = await write(${task.tokens})
    const [first, last, tokens] = [all.times[0], all.times.at(-1), all.times.length - 1]
    best.prompt = Math.max(best.prompt, 1000 * ids.length / (first - all.start), 1000 * ids.length / (one.times[0] - one.start))
    best.promptCpu = Math.max(best.promptCpu, ids.length / one.cpu)
    best.decode = Math.max(best.decode, 1000 * tokens / (last - first))
    if (all.cpu > one.cpu) best.decodeCpu = Math.max(best.decodeCpu, tokens / (all.cpu - one.cpu))
  }
  const where = '${task.gpu ? 'WebGPU' : `WASM, threads ${task.threads}`}'
  return { what: 'transformers.js ' + env.version + ', ' + where, ...best }
}
`
const out = mkdtempSync(join(tmpdir(), 'reallm-bench-'))
await build({
  stdin: { contents: script, resolveDir: task.folder! },
  ...{
    outfile: join(out, 'page.js'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    logLevel: 'error',
  },
})
const library = createRequire(`${task.folder}/index.js`).resolve('@huggingface/transformers')
const runtime = dirname(createRequire(library).resolve('onnxruntime-web'))
const server = await serve(
  { '/app/': `${out}/`, '/ort/': `${runtime}/`, '/models/onnx/': `${task.onnx}/` },
  '<script type="module" src="./app/page.js"></script>',
)
try {
  const { browser, ...measured } = await inChromium<Measured>(task, server.url)
  console.log(JSON.stringify({ ...measured, what: `${measured.what}, ${browser}` }))
} finally {
  server.close()
  rmSync(out, { recursive: true })
}
process.exit(0)
