// Perplexity of a model on a text: npx tsx --conditions=@reallm/source tools/bench/perplexity.ts MODEL TEXT
// [WINDOWS [BACKEND]] [--record] (windows of 512 tokens, the second half of each scored, no BOS).
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { perplexity } from '../../packages/eval/src/index.ts'
import { textOf } from '../../packages/tensor-io/src/index.ts'
import { type BackendName, openWeights, streamed, useBackend } from '../../packages/transformer/src/index.ts'
import { packages, startBench } from '../results/record.ts'

const finish = startBench({
  name: 'perplexity',
  what: 'Perplexity of models as @reallm/eval measures it: windows of 512 tokens, the second half of each scored, no BOS.',
  sources: packages('tensor-io', 'kernels', 'transformer', 'eval'),
  columns: {
    model: { label: 'model' },
    text: { label: 'text' },
    windows: { label: 'windows', unit: 'windows' },
    backend: { label: 'backend' },
    perplexity: { label: 'perplexity', unit: '', digits: 3 },
    seconds: { label: 'seconds', unit: 's', digits: 0 },
    peakMemory: { label: 'peak, MB', unit: 'bytes', scale: 1e-6, digits: 0 },
  },
  key: ['model', 'text', 'windows', 'backend'],
  seed: null,
})
const [spec, text, windows = '40', backend] = process.argv.slice(2)
const { name } = await useBackend(backend as BackendName | undefined)
const model = await openWeights(spec)
const tokens = (await model.tokenizer()).encode(textOf(text, await readFile(text)))
const measured = await perplexity(streamed(model), tokens, {
  windows: Number(windows),
  onProgress: ({ name, done, total, eta = 0 }) =>
    process.stderr.write(`\r${name}: ${done} of ${total}, ${eta.toFixed(0)} s left `),
})
await model.close()
finish([
  {
    ...{ model: basename(spec), text: basename(text), windows: measured.windows, backend: name },
    ...{ perplexity: measured.perplexity, seconds: measured.seconds },
    peakMemory: 1024 * process.resourceUsage().maxRSS,
  },
])
