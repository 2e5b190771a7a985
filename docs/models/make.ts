// Compresses the embedded model at the rates that the home page shows, and measures every figure on it:
// `npx tsx --conditions=@reallm/source docs/models/make.ts`, some minutes. What it writes is in the repository.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { perplexity } from '@reallm/eval'
import { builtInRegistry, compress } from '@reallm/pipeline'
import { sizeOf } from '@reallm/tensor-io'
import { openWeights, streamed, useBackend } from '@reallm/transformer'

const rates = [2, 2.5, 3, 4]
const protocol = { ctx: 256, windows: 40 }
const effort = 'fast'
const original = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')
const models = join(import.meta.dirname, '..', 'public', 'models')
/** The runtime reads none of them. */
const needless = ['.reallm.json', 'README.md', 'reallm-report.html', 'reallm-report.json']

const { name: backend } = await useBackend()
const source = await openWeights(original)
const text = await readFile(join(original, 'held-out.txt'), 'utf8')
const tokens = (await source.tokenizer()).encode(text)
const parameters = [...source.shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0)

const figures = []
for (const rate of rates) {
  const name = `tiny-${rate}`
  const to = join(models, name)
  await rm(to, { recursive: true, force: true })
  await compress(original, { to, bits: rate, effort, evaluate: false })
  for (const file of needless) await rm(join(to, file))
  await listFiles(to)
  figures.push({ name, rate, ...(await measure(to)) })
  console.log(figures.at(-1))
}
figures.push({ name: 'tiny', rate: 16, ...(await measure(original)) })
const note = `${protocol.windows} windows of ${protocol.ctx} tokens kept from training, second half of each scored`
const report = { parameters, protocol: note, effort, backend, figures }
await writeFile(join(models, 'figures.json'), `${JSON.stringify(report, null, 2)}\n`)
await source.close()

/** Writes into an artifact's index what small files are left beside it, so that pages ask for no others. */
async function listFiles(folder: string) {
  const path = join(folder, 'model.safetensors.index.json')
  const index = JSON.parse(await readFile(path, 'utf8'))
  const isListed = (file: string) => !/\.safetensors(\.index\.json)?$/.test(file)
  index.metadata.files = (await readdir(folder)).filter(isListed).sort()
  await writeFile(path, `${JSON.stringify(index, null, 2)}\n`)
}

/** Size on disk, perplexity on held-out text, and how far predictions are from the original's. */
async function measure(folder: string) {
  const model = await openWeights(folder, { registry: builtInRegistry() })
  try {
    const against = streamed(source)
    const { perplexity: ppl, kl, top1 } = await perplexity(streamed(model), tokens, { ...protocol, against })
    const { bytes } = model.files
    return { bytes, bitsPerWeight: (8 * bytes) / parameters, perplexity: ppl, kl: kl!, top1: top1! }
  } finally {
    await model.close()
  }
}
