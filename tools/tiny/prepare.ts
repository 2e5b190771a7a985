/**
 * Writes what training starts from: tokenizer and held-out text into the model folder, token ids into a work folder.
 *
 *     npx tsx --conditions=@reallm/source tools/tiny/prepare.ts packages/tiny/model out/tiny
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { tokenizerJson, trainBpe } from './bpe.ts'
import { type Document, readCorpus } from './corpus.ts'
import { chatTemplate, specials, vocabularySize } from './settings.ts'

const [model = 'packages/tiny/model', work = 'out/tiny'] = process.argv.slice(2)
const corpus = readCorpus()
const texts = corpus.train.map(d => d.text)
const json = tokenizerJson(trainBpe(texts, vocabularySize, specials), specials)
const config = {
  tokenizer_class: 'GPT2Tokenizer',
  bos_token: '<|endoftext|>',
  eos_token: '<|endoftext|>',
  pad_token: '<|endoftext|>',
  unk_token: '<|endoftext|>',
  add_prefix_space: false,
  clean_up_tokenization_spaces: false,
  model_max_length: 256,
  chat_template: chatTemplate,
}
const tokenizer = new Tokenizer(json, config)

mkdirSync(model, { recursive: true })
mkdirSync(work, { recursive: true })
writeFileSync(join(model, 'tokenizer.json'), `${JSON.stringify(json, null, 1)}\n`)
writeFileSync(join(model, 'tokenizer_config.json'), `${JSON.stringify(config, null, 2)}\n`)
writeFileSync(join(model, 'held-out.txt'), `${corpus.heldOut.map(d => d.text).join('\n\n')}\n`)
for (const [name, documents] of Object.entries(corpus)) {
  const ids = tokens(documents)
  const bytes = documents.reduce((n: number, d: Document) => n + Buffer.byteLength(d.text), 0)
  writeFileSync(join(work, `${name}.ids`), Uint16Array.from(ids))
  console.log(`${name}: ${documents.length} documents, ${bytes} bytes, ${ids.length} tokens`)
}

/** Documents one after another, each closed by the end-of-text token (id 0). */
function tokens(documents: readonly Document[]): number[] {
  return documents.flatMap(d => [...tokenizer.encode(d.text).ids, 0])
}
