import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import { ApiError } from '../errors.ts'
import { answer, type Env, type Form, type Part, type Service } from './answer.ts'
import { completionFields, promptsOf } from './completion-fields.ts'
import { samplingOf } from './fields.ts'
import { readBody } from './read-body.ts'

/** Tokens of an answer for which no number is given, as in OpenAI's API. */
const usualTokens = 16

/** `POST /v1/completions` */
export async function completions(c: Context<Env>, service: Service): Promise<Response> {
  const fields = await readBody(c.req, completionFields, service.maxBody)
  const { generator, name, temperature } = service
  generator.checkModel(name, fields.model)
  const { vocabSize } = generator.model.config
  const prompts: (readonly number[])[] = []
  for (const prompt of promptsOf(fields)) {
    const ids =
      typeof prompt === 'string' ? await generator.encode(prompt, 'prompt', { special: true }) : prompt
    prompts.push(ids)
    if (ids.length > 0 && ids.every(id => id < vocabSize)) continue
    const what = ids.length > 0 ? 'there are ids that are no tokens of the model' : 'it is empty'
    throw new ApiError(400, 'invalid_value', `prompt: ${what}`, { param: 'prompt' })
  }
  const rooms = prompts.map(prompt => generator.roomFor(prompt, fields.max_tokens ?? usualTokens, 'prompt'))
  return answer(c, service, {
    task: {
      prompts,
      n: fields.n ?? 1,
      sampling: samplingOf(fields, Math.min(...rooms), temperature),
      logprobs: fields.logprobs ?? undefined,
    },
    form: formOf(name),
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    functions: [],
    mostCalls: 0,
  })
}

function formOf(model: string): Form {
  const id = `cmpl-${randomUUID()}`
  const head = { id, object: 'text_completion', created: Math.floor(Date.now() / 1000), model }
  const choice = (part: Part) => ({
    text: part.text,
    index: part.index,
    logprobs: logprobsOf(part),
    finish_reason: part.finish,
  })
  return { head: { whole: head, chunk: head }, whole: choice, chunk: choice }
}

function logprobsOf({ tokens, offset }: Part): object | null {
  if (tokens.length === 0) return null
  let at = offset
  const text_offset = tokens.map(({ token }) => (at += token.length) - token.length)
  return {
    tokens: tokens.map(({ token }) => token),
    token_logprobs: tokens.map(({ logprob }) => logprob),
    top_logprobs: tokens.map(({ top }) =>
      Object.fromEntries(top.map(({ token, logprob }) => [token, logprob])),
    ),
    text_offset,
  }
}
