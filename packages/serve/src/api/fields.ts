import { randomInt } from 'node:crypto'
import * as z from 'zod'
import type { Sampling } from '../generator.ts'

const some = <T extends z.ZodType>(type: T) => type.nullish()
const ignored = z.unknown().optional()

/** What is said of fields, and values of fields, that are not heeded. */
export const notSupported = 'this is not supported'

/** A field of which only the value that changes nothing is taken. */
export const only = <T extends z.core.util.Literal>(value: T) =>
  some(z.literal(value, { error: notSupported }))

/** Tokens, texts and functions of a request, at most: the rest is bounded by the size of its body. */
const mostChoices = 16
const mostStops = 16

/** What requests for chats and for completions have in common. Fields that would change an answer and are unknown are refused. */
export const commonFields = {
  model: some(z.string()),
  max_tokens: some(z.int().min(1)),
  n: some(z.int().min(1).max(mostChoices)),
  seed: some(z.int()),
  stop: some(z.union([z.string(), z.array(z.string()).max(mostStops)])),
  stream: some(z.boolean()),
  stream_options: some(z.strictObject({ include_usage: some(z.boolean()), include_obfuscation: ignored })),
  temperature: some(z.number().min(0).max(2)),
  top_p: some(z.number().gt(0).max(1)),
  // beyond OpenAI's
  min_p: some(z.number().min(0).max(1)),
  top_k: some(z.int().min(0)),
  repetition_penalty: some(z.number().min(0.001).max(10)),
  // values that change nothing
  frequency_penalty: only(0),
  presence_penalty: only(0),
  logit_bias: some(z.strictObject({})),
  // for whoever keeps accounts
  ...{ user: ignored, metadata: ignored, store: ignored, service_tier: ignored, safety_identifier: ignored },
  ...{ prompt_cache_key: ignored, prompt_cache_retention: ignored },
}

export type CommonFields = z.infer<z.ZodObject<typeof commonFields>>

/** How the texts of a request are written, of at most `maxTokens` tokens; `temperature` is for requests without one. */
export function samplingOf(fields: CommonFields, maxTokens: number, temperature: number): Sampling {
  return {
    maxTokens,
    temperature: fields.temperature ?? temperature,
    topP: fields.top_p ?? undefined,
    topK: fields.top_k ?? undefined,
    minP: fields.min_p ?? undefined,
    repetitionPenalty: fields.repetition_penalty ?? undefined,
    seed: fields.seed ?? randomInt(2 ** 32),
    stop: [fields.stop ?? []].flat(),
  }
}
