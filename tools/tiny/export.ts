/**
 * Writes the model folder from a checkpoint: weights in bf16, configuration, training log and, of the embedded model, the card.
 *
 *     npx tsx --conditions=@reallm/source tools/tiny/export.ts out/tiny packages/tiny/model [tiny|wide]
 */
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { collate, meanLoss, summedLoss } from '@reallm/finetune'
import {
  fromFloat32,
  openFileSource,
  openSafetensors,
  type Tensor,
  writeSafetensors,
} from '@reallm/tensor-io'
import { loadWeights, openWeights, tf, useBackend } from '@reallm/transformer'
import { card, WINDOWS } from './card.ts'
import { settingsOf } from './settings.ts'

const [work = 'out/tiny', model = 'packages/tiny/model', name = 'tiny'] = process.argv.slice(2)
const { config, run } = settingsOf(name)
const file = await openSafetensors(await openFileSource(join(work, 'checkpoint.safetensors')))
const { step } = JSON.parse(file.metadata.state) as { step: number }
const tensors: Record<string, Tensor> = {}
for (const name of [...file.tensors.keys()].filter(n => n.startsWith('p.')).sort()) {
  const { shape, data } = await file.readFloat32(name)
  tensors[name.slice(2)] = { dtype: 'BF16', shape, data: fromFloat32('BF16', data) }
}
await file.close()

const json = (name: string, value: object) =>
  writeFileSync(join(model, name), `${JSON.stringify(value, null, 2)}\n`)
await writeSafetensors(join(model, 'model.safetensors'), tensors, { format: 'pt' })
json('config.json', config)
json('generation_config.json', {
  bos_token_id: 0,
  eos_token_id: 0,
  pad_token_id: 0,
  temperature: 0.8,
  do_sample: true,
})
copyFileSync(join(work, 'training-log.jsonl'), join(model, 'training-log.jsonl'))

await useBackend()
const stored = await openWeights(model)
const weights = await loadWeights(stored)
const tokenizer = await stored.tokenizer()
const ids = tokenizer.encode(readFileSync(join(model, 'held-out.txt'), 'utf8'))
// windows side by side, as `reallm eval --ctx 256 --windows 40` cuts them
const windows = Array.from({ length: WINDOWS }, (_, i) => ids.slice(i * run.length, (i + 1) * run.length))
const loss = await meanLoss(
  windows.map(w => collate([{ ids: w, weights: w.map((_, p) => (p >= run.length / 2 ? 1 : 0)) }], [0])),
  batch => summedLoss(stored.config, weights, batch),
)
const half = Math.exp(loss)
tf.dispose(weights)
await stored.close()

const bytes = statSync(join(model, 'model.safetensors')).size
const parameters = Object.values(tensors).reduce((n, t) => n + t.data.length, 0)
if (name === 'tiny')
  writeFileSync(join(model, 'README.md'), card({ step, half, bytes, parameters, tokens: ids.length }))
console.log(JSON.stringify({ step, half, bytes, parameters }))
