import { readFile } from 'node:fs/promises'
import { openModel } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'

export interface Golden {
  /** Texts, as token ids. */
  readonly rows: number[][]
  /** After each of their tokens. */
  readonly logits: Float32Array
  /** Eight ids and eight that follow them, each the likeliest; not of every model. */
  readonly greedy: number[] | undefined
}

/** What transformers computed of a golden model. */
export async function golden(family: string): Promise<Golden> {
  const folder = fixture(`models/${family}`)
  const rows: number[][] = JSON.parse(await readFile(`${folder}/tokens.json`, 'utf8'))
  const expected = await openModel(`${folder}/expected.safetensors`)
  const { data } = await expected.readFloat32('logits')
  await expected.close()
  const { greedy } = JSON.parse(await readFile(`${folder}/expected.json`, 'utf8'))
  return { rows, logits: data, greedy }
}
