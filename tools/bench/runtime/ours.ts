import { load, type WeightForm } from '../../../packages/runtime/src/index.ts'
import { type Measured, promptText, readTask } from './task.ts'

const task = readTask()
const model = await load(task.artifact ?? task.model, {
  weights: task.weights as WeightForm,
  threads: task.threads,
})
let [prompt, decode] = [0, 0]
for (let round = 0; round < task.rounds; round++) {
  const ids = model.tokenizer!.encode(promptText(task.promptTokens, round)).slice(0, task.promptTokens)
  const generation = model.generate(ids, { maxTokens: task.tokens })
  await generation.text()
  const { promptSeconds, tokenSeconds, tokens } = generation.report
  prompt = Math.max(prompt, ids.length / promptSeconds)
  decode = Math.max(decode, (tokens.length - 1) / tokenSeconds)
}
const what = `@reallm/runtime, Node ${process.versions.node}, ${model.weights}, ${model.kernels} SIMD`
const measured: Measured = { what, prompt, decode, memory: process.memoryUsage().rss }
console.log(JSON.stringify(measured))
model.close()
