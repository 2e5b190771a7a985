// Perplexity of a model on a text: node --conditions=@reallm/source --import tsx tools/bench/perplexity.ts MODEL TEXT
// [WINDOWS [BACKEND]] (windows of 512 tokens, the second half of each scored, no BOS).
import { readFile } from 'node:fs/promises'
import { perplexity } from '../../packages/eval/src/index.ts'
import { textOf } from '../../packages/tensor-io/src/index.ts'
import { type BackendName, openWeights, streamed, useBackend } from '../../packages/transformer/src/index.ts'

const [spec, text, windows = '40', backend] = process.argv.slice(2)
const { name, threads } = await useBackend(backend as BackendName | undefined)
const model = await openWeights(spec)
const tokens = (await model.tokenizer()).encode(textOf(text, await readFile(text)))
const result = await perplexity(streamed(model), tokens, {
  windows: Number(windows),
  onProgress: ({ name, done, total, eta = 0 }) =>
    process.stderr.write(`\r${name}: ${done} of ${total}, ${eta.toFixed(0)} s left `),
})
const peakMB = Math.round(process.resourceUsage().maxRSS / 1000)
console.log(JSON.stringify({ backend: name, threads, ...result, peakMB }))
await model.close()
