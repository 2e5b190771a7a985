import { load, type WeightForm } from '../../../packages/runtime/src/index.ts'
import { type Measured, promptText, type Task } from './task.ts'

/** What the browser offers the page: processor time in seconds. */
declare function cpuSeconds(): Promise<number>

/** Runs inside the page. */
export async function run(task: Task & { readonly url: string }): Promise<Measured> {
  const model = await load(new URL(task.url, location.href), {
    ...(task.gpu ? { device: 'webgpu' } : { weights: task.weights as WeightForm, threads: task.threads }),
  })
  const best = { prompt: 0, decode: 0, promptCpu: 0, decodeCpu: 0 }
  for (let round = 0; round < task.rounds; round++) {
    const ids = model.tokenizer!.encode(promptText(task.promptTokens, round)).slice(0, task.promptTokens)
    const session = model.session()
    const before = await cpuSeconds()
    const start = performance.now()
    await session.feed(ids.slice(0, -1))
    const read = performance.now()
    const between = await cpuSeconds()
    const generation = model.generate(ids, { session, maxTokens: task.tokens })
    const made = performance.now()
    await generation.text()
    const end = performance.now()
    const after = await cpuSeconds()
    session.dispose()
    best.prompt = Math.max(best.prompt, (1000 * (ids.length - 1)) / (read - start))
    best.promptCpu = Math.max(best.promptCpu, (ids.length - 1) / (between - before))
    best.decode = Math.max(best.decode, (1000 * generation.report.tokens.length) / (end - made))
    best.decodeCpu = Math.max(best.decodeCpu, generation.report.tokens.length / (after - between))
  }
  const where = task.gpu ? 'WebGPU' : `${model.kernels} SIMD, threads ${model.threads}`
  const what = `@reallm/runtime, ${model.weights}, ${where}`
  return { what, ...best, memory: model.bytes }
}
