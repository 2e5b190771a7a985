import { basename, dirname } from 'node:path'
import { inChromium, serve } from './chromium.ts'
import { type Measured, promptText, readTask } from './task.ts'

const task = readTask()
const prompts = Array.from({ length: task.rounds }, (_, i) => promptText(task.promptTokens, i))
const server = await serve(
  { '/wllama/': `${task.folder}/node_modules/@wllama/wllama/esm/`, '/model/': `${dirname(task.model)}/` },
  `<script type="module">import { Wllama } from './wllama/index.js'
globalThis.run = async () => {
  const wasm = new URL('wllama/wasm/wllama.wasm', location.href).href
  const wllama = new Wllama({ default: wasm, 'single-thread/wllama.wasm': wasm, 'multi-thread/wllama.wasm': wasm })
  const blob = await (await fetch('model/${basename(task.model)}')).blob()
  await wllama.loadModel([blob], { n_threads: ${task.threads}, n_ctx: ${task.promptTokens + task.tokens + 64},
    n_gpu_layers: ${task.gpu ? 999 : 0} })
  const best = { prompt: 0, decode: 0, promptCpu: 0, decodeCpu: 0 }
  for (const prompt of ${JSON.stringify(prompts)}) {
    const before = await cpuSeconds()
    const start = performance.now()
    let [first, between, tokens, length] = [0, 0, 0, 0]
    const settings = { prompt, max_tokens: ${task.tokens}, temperature: 0, stream: true }
    for await (const { timings, usage } of await wllama.createCompletion(settings)) {
      length = timings?.prompt_n ?? usage?.prompt_tokens ?? length
      if (tokens++ > 0) continue
      first = performance.now()
      between = await cpuSeconds()
    }
    const end = performance.now()
    if (length === 0) throw new Error('wllama does not tell how long the prompt was')
    const after = await cpuSeconds()
    best.prompt = Math.max(best.prompt, 1000 * length / (first - start))
    best.promptCpu = Math.max(best.promptCpu, length / (between - before))
    best.decode = Math.max(best.decode, 1000 * (tokens - 1) / (end - first))
    best.decodeCpu = Math.max(best.decodeCpu, (tokens - 1) / (after - between))
  }
  const where = ${Boolean(task.gpu)} ? 'WebGPU' : 'CPU, threads ' + wllama.getNumThreads()
  return { what: 'wllama, ' + where, ...best }
}</script>`,
)
try {
  const { browser, ...measured } = await inChromium<Measured>(task, server.url)
  console.log(JSON.stringify({ ...measured, what: `${measured.what}, ${browser}` }))
} finally {
  server.close()
}
process.exit(0)
