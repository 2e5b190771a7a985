import { generate, loadWeights, openWeights, useBackend } from '@reallm/transformer'

const { name } = await useBackend('wasm', { wasmPath: '/tfjs/' })
const model = await openWeights('/models/tiny/')
const weights = await loadWeights(model)
const tokenizer = await model.tokenizer()
console.log(`${model.config.family} on ${name}, ${model.config.layers} layers`)

let text = 'The whale'
for await (const piece of generate(model.config, weights, tokenizer, text, { maxTokens: 16 })) text += piece
console.log(text)
