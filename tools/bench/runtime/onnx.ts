import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { openWeights } from '../../../packages/transformer/src/index.ts'
import { type Measured, promptText, readTask, timed } from './task.ts'

interface Tensor {
  readonly dims: readonly number[]
  readonly data: Float32Array
}
type Feeds = Record<string, Tensor>
interface OnnxRuntime {
  readonly Tensor: new (type: string, data: ArrayLike<unknown>, dims: readonly number[]) => Tensor
  readonly InferenceSession: {
    create(file: string, options: object): Promise<{ run(feeds: Feeds): Promise<Feeds> }>
  }
}

const task = readTask()
const folder = task.artifact!
const ort: OnnxRuntime = createRequire(new URL('../../../packages/pipeline/package.json', import.meta.url))(
  'onnxruntime-node',
)
const [file] = readdirSync(join(folder, 'onnx')).filter(name => name.endsWith('.onnx'))
const session = await ort.InferenceSession.create(join(folder, 'onnx', file), {
  intraOpNumThreads: task.threads,
  interOpNumThreads: 1,
})
const { num_hidden_layers, num_attention_heads, num_key_value_heads, hidden_size, head_dim } = JSON.parse(
  readFileSync(join(folder, 'config.json'), 'utf8'),
)
const empty = [1, num_key_value_heads, 0, head_dim ?? hidden_size / num_attention_heads]
const tokenizer = await (await openWeights(folder)).tokenizer()

/** Key-value cache of no tokens. */
const start = (): Feeds =>
  Object.fromEntries(
    Array.from({ length: num_hidden_layers }, (_, i) =>
      ['key', 'value'].map(what => [
        `past_key_values.${i}.${what}`,
        new ort.Tensor('float32', new Float32Array(), empty),
      ]),
    ).flat(),
  )

/** Reads tokens behind `cache`: the most likely next one, and the cache behind them. */
async function step(ids: readonly number[], cache: Feeds): Promise<[number, Feeds]> {
  const past = cache['past_key_values.0.key'].dims[2]
  const total = past + ids.length
  const out = await session.run({
    ...cache,
    input_ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]),
    attention_mask: new ort.Tensor('int64', new BigInt64Array(total).fill(1n), [1, total]),
  })
  const { dims, data } = out.logits
  const row = data.subarray(data.length - dims[2])
  let next = 0
  for (let i = 1; i < row.length; i++) if (row[i] > row[next]) next = i
  const present = Object.entries(out).flatMap(([name, value]) =>
    name.startsWith('present') ? [[name.replace('present', 'past_key_values'), value] as const] : [],
  )
  return [next, Object.fromEntries(present)]
}

const best = { prompt: 0, decode: 0, promptCpu: 0, decodeCpu: 0 }
for (let round = 0; round < task.rounds; round++) {
  const ids = tokenizer.encode(promptText(task.promptTokens, round)).slice(0, task.promptTokens)
  let cache = start()
  let next = ids.at(-1)!
  const read = await timed(ids.length - 1, async () => {
    ;[, cache] = await step(ids.slice(0, -1), cache)
  })
  const made = await timed(task.tokens, async () => {
    for (let i = 0; i < task.tokens; i++) [next, cache] = await step([next], cache)
  })
  best.prompt = Math.max(best.prompt, read.wall)
  best.promptCpu = Math.max(best.promptCpu, read.cpu)
  best.decode = Math.max(best.decode, made.wall)
  best.decodeCpu = Math.max(best.decodeCpu, made.cpu)
}
const measured: Measured = { what: 'onnxruntime-node, CPU', ...best, memory: process.memoryUsage().rss }
console.log(JSON.stringify(measured))
process.exit(0)
