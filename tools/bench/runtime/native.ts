import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { type Measured, promptText, readTask, timed } from './task.ts'

interface LlamaSequence {
  evaluate(tokens: number[], options: object): AsyncGenerator<number>
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>
  clearHistory(): Promise<void>
}
interface LlamaModule {
  getLlama(options: object): Promise<{
    /** What the CPU has that the library uses, `NAME = 1` each. */
    readonly systemInfo: string
    loadModel(options: object): Promise<{
      tokenize(text: string): number[]
      createContext(options: object): Promise<{ getSequence(): LlamaSequence }>
    }>
  }>
}

const task = readTask()
const resolve = createRequire(`${task.folder}/index.js`).resolve
const { getLlama }: LlamaModule = await import(pathToFileURL(resolve('node-llama-cpp')).href)
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: task.threads })
const model = await llama.loadModel({ modelPath: task.model })
const context = await model.createContext({
  contextSize: task.promptTokens + task.tokens + 8,
  threads: task.threads,
})
const sequence = context.getSequence()
const best = { prompt: 0, decode: 0, promptCpu: 0, decodeCpu: 0 }
for (let round = 0; round < task.rounds; round++) {
  await sequence.clearHistory()
  const ids = model.tokenize(promptText(task.promptTokens, round)).slice(0, task.promptTokens)
  const read = await timed(ids.length - 1, () =>
    sequence.evaluateWithoutGeneratingNewTokens(ids.slice(0, -1)),
  )
  let left = task.tokens
  const made = await timed(task.tokens, async () => {
    for await (const _ of sequence.evaluate(ids.slice(-1), { temperature: 0, yieldEogToken: true })) {
      if (--left === 0) break
    }
  })
  best.prompt = Math.max(best.prompt, read.wall)
  best.promptCpu = Math.max(best.promptCpu, read.cpu)
  best.decode = Math.max(best.decode, made.wall)
  best.decodeCpu = Math.max(best.decodeCpu, made.cpu)
}
const extension = ['AMX_INT8', 'AVX512', 'AVX2', 'NEON'].find(name =>
  llama.systemInfo.includes(`${name} = 1`),
)
const what = `node-llama-cpp, CPU${extension ? ` with ${extension}` : ''}`
const measured: Measured = { what, ...best, memory: process.memoryUsage().rss }
console.log(JSON.stringify(measured))
process.exit(0)
