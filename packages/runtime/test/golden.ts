import { readFile } from 'node:fs/promises'
import { openModel } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'

/** Texts of a golden model, as token ids, and the logits after each of their tokens. */
export async function golden(family: string): Promise<{ rows: number[][]; logits: Float32Array }> {
  const folder = fixture(`models/${family}`)
  const rows: number[][] = JSON.parse(await readFile(`${folder}/tokens.json`, 'utf8'))
  const expected = await openModel(`${folder}/expected.safetensors`)
  const { data } = await expected.readFloat32('logits')
  await expected.close()
  return { rows, logits: data }
}
