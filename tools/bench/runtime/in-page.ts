import { load, type WeightForm } from '../../../packages/runtime/src/index.ts'
import { type Measured, promptText, type Task } from './task.ts'

/** Runs inside the page. */
export async function run(task: Task & { readonly url: string }): Promise<Measured> {
  const model = await load(new URL(task.url, location.href), {
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
  const what = `@reallm/runtime, ${model.weights}, ${model.kernels} SIMD, threads ${model.threads}`
  return { what, prompt, decode, memory: model.bytes }
}
