import { ReallmError } from '../core/errors.ts'
import { parseJson } from '../core/json.ts'
import type { ModelFiles } from '../formats/model-files.ts'
import { configName } from './adapter/adapter.ts'
import { readAdapter } from './adapter/read.ts'
import { reviewTokenizer } from './tokenizer/review-tokenizer.ts'
import { openWeights } from './weights.ts'

/** What opening a model to compute with it would say. */
export interface Review {
  /** What the files hold and say and nothing uses, in sentences. */
  readonly warnings: readonly string[]
  /** Why it would be refused. */
  readonly refused: readonly { readonly message: string; readonly hint?: string }[]
}

/**
 * Goes through all that the files of a model, or of an adapter in PEFT's layout, declare; computes nothing.
 *
 * @example
 * const { warnings, refused } = await reviewFiles(await openModel('model'))
 */
export async function reviewFiles(files: ModelFiles): Promise<Review> {
  const warnings: string[] = []
  const refused: { message: string; hint?: string }[] = []
  const listen = async (work: () => Promise<unknown>) => {
    await work().catch((error: unknown) => {
      if (!(error instanceof ReallmError)) throw error
      const { message, hint } = error
      refused.push({ message, ...(hint !== undefined && { hint }) })
    })
  }
  const isAdapter = files.files.includes(configName) && Object.keys(files.config).length === 0
  await listen(async () => {
    if (isAdapter) return void (await readAdapter(files))
    const { warning } = await openWeights(files)
    if (warning !== undefined) warnings.push(warning)
  })
  if (!isAdapter && files.files.includes('tokenizer.json')) {
    await listen(async () => {
      const name = `${files.spec}: tokenizer.json`
      const unknown = reviewTokenizer(parseJson(name, await files.readFile('tokenizer.json')))
      if (unknown.length > 0) warnings.push(`${name}: not used: ${unknown.join(', ')}`)
    })
  }
  return { warnings, refused }
}
