import { load, type WeightForm } from '../../../packages/runtime/src/index.ts'
import { type Measured, promptText, readTask, timed } from './task.ts'

const task = readTask()
const model = await load(task.artifact ?? task.model, {
  weights: task.weights as WeightForm,
  threads: task.threads,
})
const best = { prompt: 0, decode: 0, promptCpu: 0, decodeCpu: 0 }
for (let round = 0; round < task.rounds; round++) {
  const ids = model.tokenizer!.encode(promptText(task.promptTokens, round)).slice(0, task.promptTokens)
  const session = model.session()
  const read = await timed(ids.length - 1, async () => void (await session.feed(ids.slice(0, -1))))
  const made = await timed(task.tokens, async () => {
    await model.generate(ids, { session, maxTokens: task.tokens }).text()
  })
  session.dispose()
  best.prompt = Math.max(best.prompt, read.wall)
  best.promptCpu = Math.max(best.promptCpu, read.cpu)
  best.decode = Math.max(best.decode, made.wall)
  best.decodeCpu = Math.max(best.decodeCpu, made.cpu)
}
const what = `@reallm/runtime, Node ${process.versions.node}, ${model.weights}, ${model.kernels} SIMD`
const measured: Measured = { what, ...best, memory: process.memoryUsage().rss }
console.log(JSON.stringify(measured))
model.dispose()
