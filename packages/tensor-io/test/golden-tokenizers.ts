import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { TokenizerFiles } from '../src/models/tokenizer/create-tokenizer.ts'

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

const path = new URL('../../testing/fixtures/tokenizers.json.gz', import.meta.url)

/** Awkward texts, and what Python's tokenizers make of them. */
export const goldenTokenizers = (): Golden => JSON.parse(gunzipSync(readFileSync(path)).toString())
