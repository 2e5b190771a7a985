import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { type Measured, promptText, readTask } from './task.ts'

interface LlamaSequence {
  evaluate(tokens: number[], options: object): AsyncGenerator<number>
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>
  clearHistory(): Promise<void>
}
interface LlamaModule {
  getLlama(options: object): Promise<{
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
let [prompt, decode] = [0, 0]
for (let round = 0; round < task.rounds; round++) {
  await sequence.clearHistory()
  const ids = model.tokenize(promptText(task.promptTokens, round)).slice(0, task.promptTokens)
  const start = performance.now()
  await sequence.evaluateWithoutGeneratingNewTokens(ids.slice(0, -1))
  const read = performance.now()
  let made = 0
  for await (const _ of sequence.evaluate(ids.slice(-1), { temperature: 0, yieldEogToken: true })) {
    if (++made === task.tokens) break
  }
  const end = performance.now()
  prompt = Math.max(prompt, ((ids.length - 1) / (read - start)) * 1000)
  decode = Math.max(decode, (made / (end - read)) * 1000)
}
const measured: Measured = { what: 'node-llama-cpp, CPU', prompt, decode, memory: process.memoryUsage().rss }
console.log(JSON.stringify(measured))
process.exit(0)
