/** `@reallm/finetune`'s side of tools/bench/finetune.ts: `ours.ts <backend> <task>`, one JSON line at the end. */
import { readFileSync } from 'node:fs'
import {
  headLoss,
  nextToken,
  shuffled,
  train,
  trainable,
  tunedHead,
  tunedStates,
} from '../../../packages/finetune/src/index.ts'
import {
  allTensors,
  type BackendName,
  parseConfig,
  type TfTensor,
  tf,
  useBackend,
} from '../../../packages/transformer/src/index.ts'
import type { Measured, Task } from '../finetune.ts'

const [backend, json] = process.argv.slice(2) as [BackendName, string]
const task: Task = JSON.parse(json)
await useBackend(backend, { threads: 1 })
const config = await parseConfig({
  model_type: 'llama',
  vocab_size: task.vocabulary,
  hidden_size: task.hidden,
  intermediate_size: task.inner,
  num_hidden_layers: task.layers,
  num_attention_heads: task.heads,
  num_key_value_heads: task.kvHeads,
  max_position_embeddings: 2048,
  rope_theta: 10_000,
  tie_word_embeddings: true,
})
const base = Object.fromEntries(
  [...allTensors(config)].map(([name, shape], i): [string, TfTensor] => [
    name,
    shape.length === 1 ? tf.ones([...shape]) : tf.randomNormal([...shape], 0, 0.02, 'float32', i),
  ]),
)
const parts = trainable(config, base, { rank: task.rank }, 0)
const stream = Array.from({ length: task.tokens + 1 }, (_, i) => (i * 7919) % task.vocabulary)
const batches = shuffled([{ ids: stream }], { rows: 1, seed: 0 })

const marks: { wall: number; cpu: number }[] = []
const mark = () => {
  const { user, system } = process.cpuUsage()
  marks.push({ wall: performance.now() / 1e3, cpu: (user + system) / 1e6 })
}
mark()
const { history } = await train({
  ...{
    parameters: parts.parameters,
    batches,
    steps: task.steps,
    learningRate: task.learningRate,
    warmup: 0,
    floor: 1,
  },
  loss: ({ ids, rows, length, weights, targets }) =>
    tf.tidy(() => {
      const states = tunedStates(config, base, parts, tf.tensor2d(ids, [rows, length], 'int32'))
      return headLoss(config, tunedHead(base, parts), states, weights, nextToken(targets))
    }),
  onProgress: mark,
})
const least = (of: 'wall' | 'cpu') => Math.min(...marks.slice(2).map((m, i) => m[of] - marks[i + 1][of]))
const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
const measured: Measured = {
  seconds: least('wall'),
  cpuSeconds: least('cpu'),
  bytes: 1024 * Number(peak?.[1]),
  losses: history.map(({ loss }) => loss),
}
console.log(JSON.stringify(measured))
process.exit(0)
