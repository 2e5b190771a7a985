// OneBit on the embedded model with and without its term on hidden states: the same steps, text and seed. It learns on the
// first three quarters of the text that was kept from training and is measured on the last quarter.
//
//   npx tsx --conditions=@reallm/source tools/bench/onebit.ts [--steps 60] [--weights 0,1] [--backend wasm] [--record]
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { perplexity } from '../../packages/eval/src/index.ts'
import {
  collate,
  directionLoss,
  type OneBit,
  oneBit,
  sequencesOf,
  teacherLogits,
  tunedStates,
  tuneEndToEnd,
} from '../../packages/finetune/src/index.ts'
import { f16ToF32 } from '../../packages/tensor-io/src/index.ts'
import {
  type BackendName,
  inMemory,
  loadWeights,
  openWeights,
  type TfTensor,
  tf,
  useBackend,
} from '../../packages/transformer/src/index.ts'
import { packages, startBench } from '../results/record.ts'

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: '60' },
    weights: { type: 'string', default: '0,1' },
    backend: { type: 'string' },
  },
})
const finish = startBench({
  name: 'onebit',
  what: 'OneBit on the embedded model with and without its term on hidden states, after the same steps.',
  sources: packages('tensor-io', 'kernels', 'transformer', 'finetune', 'eval'),
  columns: {
    hiddenWeight: { label: 'weight of the term', unit: '' },
    steps: { label: 'steps', unit: 'steps' },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 4 },
    hidden: { label: 'distance of hidden states', unit: '', digits: 4 },
    cpuSeconds: { label: 'CPU s', unit: 's', digits: 0 },
  },
  key: ['hiddenWeight', 'steps'],
  seed: 0,
})
const folder = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')
const text = await readFile(join(folder, 'held-out.txt'), 'utf8')
const cut = text.indexOf('\n', 0.75 * text.length)

await useBackend(values.backend as BackendName | undefined)
const model = await openWeights(folder)
const { config } = model
const base = await loadWeights(model)
const tokenizer = await model.tokenizer()
const all = sequencesOf(tokenizer.encode(text.slice(0, cut)), 256)
const sequences = { train: all.slice(4), validation: all.slice(0, 4) }
const heldOut = tokenizer.encode(text.slice(cut))
const measured = sequencesOf(heldOut, 256).slice(0, 8)
const original = await teacherLogits({ config, weights: base, sequences: measured, hidden: true })

/** Squared distance of the directions of hidden states behind all blocks, mean over the tokens. */
async function apart(parts: OneBit): Promise<number> {
  let sum = 0
  for (const number of measured.keys()) {
    const batch = collate(measured, [number])
    const { directions } = await original.of(batch)
    sum += tf.tidy(() => {
      const terms: TfTensor[] = []
      const onBlock = (i: number, x: TfTensor) => {
        const wanted = tf.tensor2d(f16ToF32(directions![i]), [batch.length, config.hiddenSize])
        terms.push(directionLoss(x, () => wanted, batch.weights))
      }
      tunedStates(config, base, parts, tf.tensor2d(batch.ids, [1, batch.length], 'int32'), { onBlock })
      return tf.addN(terms).div(batch.scored).dataSync()[0]
    })
  }
  return sum / measured.length
}

const rows = []
for (const hiddenWeight of values.weights.split(',').map(Number)) {
  const parts = await oneBit(model)
  const settings = { steps: Number(values.steps), learningRate: 5e-3, seed: 0, gradientCheckpointing: true }
  const start = process.cpuUsage()
  await tuneEndToEnd({ ...settings, config, base, parts, sequences, teacher: model, hiddenWeight })
  const { user, system } = process.cpuUsage(start)
  const { hooks, weights } = parts.apply(Object.fromEntries(parts.parameters), base)
  const protocol = { ctx: 256, against: inMemory(config, base) }
  const result = await perplexity(inMemory(config, weights, hooks), heldOut, protocol)
  const { perplexity: ppl, kl } = result
  rows.push({
    ...{ hiddenWeight, steps: settings.steps, perplexity: ppl, kl: kl! },
    ...{ hidden: await apart(parts), cpuSeconds: (user + system) / 1e6 },
  })
  parts.dispose()
}
finish(rows)
await model.close()
