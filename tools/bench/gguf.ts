/**
 * Models written as GGUF in float32 and read back by this library and by llama.cpp: the mean loss of the next token, and on
 * how many awkward texts the tokenizers agree. Without arguments: the golden models, with a byte-level tokenizer, and toy
 * tokenizers of both kinds. A directory with a tokenizer.json and no config.json is a tokenizer to put beside a small model.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/gguf.ts [DIRECTORY …] [--record]
 */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { convertModel } from '../../packages/pipeline/src/convert/convert.ts'
import { awkwardTexts } from '../../packages/pipeline/src/output/awkward-texts.ts'
import { smallLlama } from '../../packages/pipeline/test/small-models.ts'
import {
  byteLevelTokenizer,
  fixture,
  goldenModels,
  openLlamaCpp,
  sentencePieceTokenizer,
  writeRandomModel,
} from '../../packages/testing/src/index.ts'
import {
  type HuggingFaceConfig,
  loadWeights,
  nextTokenLoss,
  openWeights,
  type TokenizerFiles,
  tf,
  useBackend,
} from '../../packages/transformer/src/index.ts'
import { packages, startBench } from '../results/record.ts'
import type { Row } from '../results/schema.ts'

const finish = startBench({
  name: 'gguf',
  what: 'Models in float32 and the GGUF files made of them, read by this library and by llama.cpp.',
  sources: [...packages('tensor-io', 'transformer'), 'packages/pipeline/src/convert'],
  columns: {
    model: { label: 'model' },
    texts: { label: 'texts with the same ids' },
    directory: { label: 'loss of the directory', unit: 'nats per token', digits: 5 },
    gguf: { label: 'of the GGUF', unit: 'nats per token', digits: 5 },
    llama: { label: 'of the GGUF in llama.cpp', unit: 'nats per token', digits: 5 },
    refused: { label: 'refused' },
  },
  key: ['model'],
  seed: 3,
})
const opened = await openLlamaCpp()
if (typeof opened === 'string') throw new Error(opened)
const llama = opened
await useBackend('wasm')
const scratch = mkdtempSync(join(tmpdir(), 'gguf-'))

async function lossOf(path: string, rows: number[][]): Promise<number> {
  const model = await openWeights(path)
  const weights = await loadWeights(model)
  const ids = tf.tensor2d(rows, undefined, 'int32')
  const loss = tf.tidy(() => nextTokenLoss(model.config, weights, ids).dataSync()[0])
  tf.dispose([ids, weights])
  await model.close()
  return loss
}

/** A row of the table, of the model directory `from`. */
async function measure(model: string, from: string, rows: number[][]): Promise<Row> {
  const to = join(scratch, `${model.replaceAll(/\W/g, '-')}.gguf`)
  const original = await openWeights(from)
  try {
    await convertModel(original, { to, dtype: 'f32' })
    const { encode, files } = await original.tokenizer()
    const added = files.tokenizer.added_tokens as readonly { content: string }[]
    const texts = [...awkwardTexts, ...added.slice(0, 3).map(({ content }) => `a ${content} b${content}c`)]
    const ids = await llama.tokenize(to, texts)
    const same = texts.filter((text, i) => encode(text).join() === ids[i].join())
    return {
      model,
      texts: `${same.length} of ${texts.length}`,
      directory: await lossOf(from, rows),
      gguf: await lossOf(to, rows),
      llama: await llama.loss(to, rows),
    }
  } catch (error) {
    return { model, refused: (error as Error).message }
  } finally {
    await original.close()
    rmSync(to, { force: true })
  }
}

/** A golden model with a tokenizer beside it. */
function golden(name: string, changes: HuggingFaceConfig = {}): Promise<Row> {
  const folder = join(scratch, name)
  cpSync(fixture(`models/${name}`), folder, { recursive: true })
  const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8'))
  const { tokenizer, config: tokenizer_config } = byteLevelTokenizer()
  const config = { ...read('config.json'), ...changes }
  for (const [file, json] of Object.entries({ config, tokenizer, tokenizer_config })) {
    writeFileSync(join(folder, `${file}.json`), JSON.stringify(json))
  }
  const said = Object.entries(changes).map(([key, value]) => `, ${key} ${value}`)
  return measure(`${name}${said.join('')}`, folder, read('tokens.json'))
}

const rows = Array.from({ length: 2 }, (_, r) =>
  Array.from({ length: 24 }, (_, i) => (7 * i * i + 31 * r + 3) % 256),
)

/** A small Llama with a tokenizer. */
async function withTokenizer(name: string, tokenizer: TokenizerFiles): Promise<Row> {
  const { model, added_tokens = [] } = tokenizer.tokenizer as {
    model: { vocab: Record<string, number> }
    added_tokens?: { id: number }[]
  }
  const ids = [...Object.values(model.vocab), ...added_tokens.map(({ id }) => id)]
  const vocab_size = ids.reduce((most, id) => Math.max(most, id)) + 1
  const folder = join(scratch, `tokenizer-${name.replaceAll(/\W/g, '-')}`)
  await writeRandomModel(folder, { ...smallLlama, vocab_size }, { tokenizer })
  return measure(name, folder, rows)
}

const table: Row[] = []
const directories = process.argv.slice(2)
for (const directory of directories) {
  const read = (file: string) => JSON.parse(readFileSync(join(directory, file), 'utf8'))
  table.push(
    existsSync(join(directory, 'config.json'))
      ? await measure(basename(directory), directory, rows)
      : await withTokenizer(`tokenizer of ${basename(directory)}`, {
          tokenizer: read('tokenizer.json'),
          config: read('tokenizer_config.json'),
        }),
  )
}
if (directories.length === 0) {
  for (const name of goldenModels) table.push(await golden(name))
  table.push(await golden('mistral-untied', { sliding_window: null }))
  table.push(await golden('gemma3-text', { torch_dtype: 'float32' }))
  table.push(await withTokenizer('byte-level BPE', byteLevelTokenizer({ begins: true })))
  table.push(await withTokenizer('SentencePiece BPE', sentencePieceTokenizer()))
}
finish(table)
await llama.close()
rmSync(scratch, { recursive: true })
