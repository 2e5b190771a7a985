import * as z from 'zod'
import { commonFields, only } from './fields.ts'

const ids = z.array(z.int().min(0)).min(1)

/** The body of a request for a completion. */
export const completionFields = z.strictObject({
  ...commonFields,
  prompt: z.union([z.string(), z.array(z.string()).min(1).max(16), ids, z.array(ids).max(16)]),
  logprobs: z.int().min(0).max(20).nullish(),
  // values that change nothing
  best_of: only(1),
  echo: only(false),
  suffix: only(''),
})

export type CompletionFields = z.infer<typeof completionFields>

/** The prompts, as texts or token ids. */
export function promptsOf({ prompt }: CompletionFields): readonly (string | readonly number[])[] {
  if (typeof prompt === 'string') return [prompt]
  return prompt.every(each => typeof each === 'number') ? [prompt] : (prompt as string[] | number[][])
}
