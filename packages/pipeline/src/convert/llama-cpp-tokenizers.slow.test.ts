import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createGgufWriter, type GgufValue } from '@reallm/tensor-io'
import {
  createTokenizer,
  type TokenizerFiles,
  tokenizerFromGguf,
  tokenizerToGguf,
} from '@reallm/tensor-io/tokenizer'
import { fixture, openLlamaCpp } from '@reallm/testing'
import { afterAll, describe, expect, it } from 'vitest'

const opened = await openLlamaCpp()
const [llama, why] = typeof opened === 'string' ? [undefined, ` (skipped: ${opened})`] : [opened, '']
const scratch = mkdtempSync(join(tmpdir(), 'llama-cpp-tokenizers-'))
afterAll(async () => {
  rmSync(scratch, { recursive: true })
  await llama?.close()
})

type Tokenizer = TokenizerFiles['tokenizer']
interface Golden {
  readonly texts: readonly string[]
  readonly tokenizers: Readonly<Record<string, { readonly tokenizer: Tokenizer }>>
}
const golden: Golden = JSON.parse(gunzipSync(readFileSync(fixture('tokenizers.json.gz'))).toString())
// llama.cpp knows neither Unicode's normal forms nor, in some expressions, marks
const texts = golden.texts.filter(text => !/\p{M}/u.test(text))

const whole = (value: number): GgufValue => ({ type: 'uint32', value })
const text = (value: string): GgufValue => ({ type: 'string', value })
const settings = {
  ...{ block_count: 1, context_length: 64, embedding_length: 32, feed_forward_length: 32 },
  'attention.head_count': 2,
}

/** A model without layers, for its tokenizer. */
async function written(name: string, tokenizer: Record<string, GgufValue>, rows: number): Promise<string> {
  const path = join(scratch, `${name}.gguf`)
  const metadata: Record<string, GgufValue> = {
    'general.architecture': text('llama'),
    ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [`llama.${key}`, whole(value)])),
    'llama.attention.layer_norm_rms_epsilon': { type: 'float32', value: 1e-5 },
    ...tokenizer,
    'tokenizer.ggml.bos_token_id': whole(1),
    'tokenizer.ggml.add_bos_token': { type: 'bool', value: false },
  }
  const writer = await createGgufWriter(path, metadata, {
    'token_embd.weight': { type: 'F32', shape: [rows, 32] },
  })
  await writer.write('token_embd.weight', new Float32Array(rows * 32))
  await writer.finish()
  return path
}

const read = (tokenizer: Record<string, GgufValue>) =>
  createTokenizer(
    tokenizerFromGguf(Object.fromEntries(Object.entries(tokenizer).map(([key, { value }]) => [key, value]))),
  )
const rowsOf = ({ model }: Tokenizer) => Object.keys((model as { vocab: object }).vocab).length

describe.skipIf(!llama)(`llama.cpp gives the ids of GGUF files${why}`, () => {
  const { added_tokens, model } = golden.tokenizers.uncut.tokenizer
  const uncut: Tokenizer = { ...golden.tokenizers['gpt-2'].tokenizer, added_tokens, model }
  const inGguf = tokenizerToGguf(createTokenizer({ tokenizer: uncut, config: {} }), rowsOf(uncut))

  it.each(namesOfCuts())('%s', async name => {
    const named = { ...inGguf, 'tokenizer.ggml.pre': text(name) }
    const theirs = await llama!.tokenize(await written(name, named, rowsOf(uncut)), texts)
    const { encode } = read(named)
    expect(texts.map(each => encode(each))).toEqual(theirs)
  })

  it('pieces whose merges scores cannot express, as Gemma 4 has them', async () => {
    const { tokenizer } = golden.tokenizers.gemma
    const original = createTokenizer({ tokenizer, config: { unk_token: '<unk>' } })
    const converted = tokenizerToGguf(original, rowsOf(tokenizer))
    expect(converted['tokenizer.ggml.model']).toEqual(text('gemma4'))
    const theirs = await llama!.tokenize(await written('gemma4', converted, rowsOf(tokenizer)), texts)
    const { encode } = read(converted)
    expect(texts.map(each => encode(each))).toEqual(theirs)
    expect(texts.map(each => original.encode(each))).toEqual(theirs)
  })

  it('SentencePiece’s Unigram', async () => {
    const { tokenizer } = golden.tokenizers['unigram-charsmap']
    const original = createTokenizer({ tokenizer, config: { eos_token: '</s>' } })
    const converted = tokenizerToGguf(original, rowsOf(tokenizer))
    const theirs = await llama!.tokenize(await written('t5', converted, rowsOf(tokenizer)), texts)
    const { encode } = read(converted)
    expect(texts.map(each => encode(each))).toEqual(theirs)
  })
})

/** Every name of a way to cut texts that is read. */
function namesOfCuts(): string[] {
  try {
    tokenizerFromGguf({
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': 'none',
      'tokenizer.ggml.tokens': [],
    })
  } catch (error) {
    return (error as { hint: string }).hint.replace('supported: ', '').split(', ')
  }
  return []
}
