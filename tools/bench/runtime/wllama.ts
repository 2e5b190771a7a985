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
  await wllama.loadModel([blob], { n_threads: ${task.threads}, n_ctx: 1024, n_gpu_layers: 0 })
  let [prompt, decode] = [0, 0]
  for (const text of ${JSON.stringify(prompts)}) {
    const { timings, usage } = await wllama.createCompletion({ prompt: text, max_tokens: ${task.tokens}, temperature: 0, stream: false })
    console.log(JSON.stringify({ timings, usage, threads: wllama.getNumThreads(), multi: wllama.isMultithread() }))
    prompt = Math.max(prompt, timings.prompt_per_second)
    decode = Math.max(decode, timings.predicted_per_second)
  }
  return { what: 'wllama, threads ' + wllama.getNumThreads(), prompt, decode, memory: NaN }
}</script>`,
)
try {
  const { browser, ...measured } = await inChromium<Measured>(task.folder!, server.url)
  console.log(JSON.stringify({ ...measured, what: `${measured.what}, ${browser}` }))
} finally {
  server.close()
}
process.exit(0)
