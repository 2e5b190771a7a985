import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { createTokenizer, type TokenizerFiles } from './create-tokenizer.ts'

interface Golden {
  readonly texts: readonly string[]
  readonly tokenizers: Readonly<
    Record<
      string,
      {
        readonly tokenizer: TokenizerFiles['tokenizer']
        readonly ids: readonly number[][]
        readonly decoded: readonly string[]
        /** Without the last id of each. */
        readonly cut: readonly string[]
      }
    >
  >
}
const path = new URL('../../../../testing/fixtures/tokenizers.json.gz', import.meta.url)
const { texts, tokenizers }: Golden = JSON.parse(gunzipSync(readFileSync(path)).toString())

describe('tokenizers in the forms that families have give the ids of Python’s tokenizers', () => {
  it.each(Object.entries(tokenizers))('%s', (_, { tokenizer, ids, decoded, cut }) => {
    const { encode, decode } = createTokenizer({ tokenizer, config: {} })
    for (const [i, text] of texts.entries()) {
      expect([text, encode(text)]).toEqual([text, ids[i]])
      expect(decode(ids[i], { special: true })).toBe(decoded[i])
      expect(decode(ids[i].slice(0, -1), { special: true })).toBe(cut[i])
    }
  })
})
