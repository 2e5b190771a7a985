import { perplexity } from '@reallm/eval'
import { openWeights, streamed, useBackend } from '@reallm/transformer'

await useBackend('wasm', { wasmPath: '/tfjs/' })
const model = await openWeights('/models/tiny/')
const tokenizer = await model.tokenizer()

for (const text of [
  'the ship sailed over the sea and the captain stood upon the deck',
  'colourless green ideas sleep furiously beside the fridge tonight again',
]) {
  const { perplexity: ppl, tokens } = await perplexity(streamed(model), [tokenizer.encode(text)])
  console.log(`${ppl.toFixed(1)} over ${tokens} tokens: ${text}`)
}
await model.close()
