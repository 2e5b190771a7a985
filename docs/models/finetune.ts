// Fine-tunes the embedded model at 3 bits as the site's page does, and records what comes of it, for visitors to see at once:
// `npx tsx --conditions=@reallm/source docs/models/finetune.ts`, some minutes. What it writes is in the repository.
import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { finetuneArtifact } from '@reallm/finetune'
import { builtInRegistry } from '@reallm/pipeline'
import { load } from '@reallm/runtime'
import { encodeAdapter, openWeights, useBackend } from '@reallm/transformer'

const prompt = 'Take a pound of'
const settings = { steps: 60, learningRate: 3e-3, rank: 8 }
const folder = join(import.meta.dirname, '..', 'public', 'models')
const base = join(folder, 'tiny-3')
const contents = await readFile(
  join(import.meta.dirname, '..', 'examples', 'finetune-node', 'recipes.txt'),
  'utf8',
)

await useBackend('wasm')
const weights = await openWeights(base, { registry: builtInRegistry() })
const losses: number[] = []
const held: { step: number; loss: number }[] = []
const started = performance.now()
const { adapter, before, after } = await finetuneArtifact({
  ...settings,
  ...{ model: weights, data: { name: 'text', contents }, length: 64, rows: 4, validation: 0.1 },
  onProgress({ event, done, error }) {
    if (event === 'step-end') losses.push(error!)
    if (event === 'validation-end') held.push({ step: done, loss: error! })
  },
})
const seconds = (performance.now() - started) / 1000
await weights.close()

const writer = await load(base)
const files = Object.entries(encodeAdapter(adapter!))
await writer.useAdapter(files.map(([name, bytes]) => new File([bytes], name)))
const text = await writer.generate(prompt, { maxTokens: 60, temperature: 0.4, topP: 0.95, seed: 1 }).text()
writer.dispose()

const machine = `${cpus()[0].model.trim()}, Node ${process.versions.node}, one thread`
const recorded = {
  prompt,
  steps: settings.steps,
  after: text,
  result: { before, after, seconds },
  losses,
  held,
  machine,
}
await writeFile(join(folder, 'finetune.json'), `${JSON.stringify(recorded, null, 2)}\n`)
