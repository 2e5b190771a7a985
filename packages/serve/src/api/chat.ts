import { randomUUID } from 'node:crypto'
import { ReallmError } from '@reallm/tensor-io'
import type { ChatTool } from '@reallm/tensor-io/models'
import type { Context } from 'hono'
import { ApiError } from '../errors.ts'
import { anyObject, type Rule, schemaRule } from '../grammar/index.ts'
import type { TokenLogprob } from '../logprobs.ts'
import { callRule } from '../tools/tool-call.ts'
import { answer, type Env, type Form, type Part, type Service } from './answer.ts'
import { type ChatFields, chatFields, messagesOf, toolsOf, variablesOf } from './chat-fields.ts'
import { samplingOf } from './fields.ts'
import { readBody } from './read-body.ts'

/** `POST /v1/chat/completions` */
export async function chat(c: Context<Env>, service: Service): Promise<Response> {
  const fields = await readBody(c.req, chatFields, service.maxBody)
  const { generator, name, temperature } = service
  generator.checkModel(name, fields.model)
  if (fields.top_logprobs && !fields.logprobs) {
    const param = 'top_logprobs'
    throw new ApiError(400, 'invalid_value', `${param}: it needs logprobs`, {
      ...{ param, hint: 'set logprobs to true' },
    })
  }
  const { tools, forced } = toolsOf(fields)
  const prompt = await generator.encode(promptOf(service, fields, tools), 'messages')
  const wanted = fields.max_completion_tokens ?? fields.max_tokens ?? Number.POSITIVE_INFINITY
  return answer(c, service, {
    task: {
      prompts: [prompt],
      n: fields.n ?? 1,
      sampling: samplingOf(fields, generator.roomFor(prompt, wanted, 'messages'), temperature),
      logprobs: fields.logprobs ? (fields.top_logprobs ?? 0) : undefined,
      rule: ruleOf(fields, tools, forced),
    },
    form: formOf(name, forced),
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    functions: tools.map(tool => tool.function.name),
    mostCalls: fields.parallel_tool_calls === false ? 1 : Number.POSITIVE_INFINITY,
  })
}

function promptOf({ generator }: Service, fields: ChatFields, tools: readonly ChatTool[]): string {
  const messages = messagesOf(fields)
  try {
    return generator.tokenizer.chat(messages, {
      tools: tools.length > 0 ? tools : undefined,
      variables: variablesOf(fields),
    })
  } catch (error) {
    // the template refuses these messages, or there is none
    if (!(error instanceof ReallmError)) throw error
    throw new ApiError(400, 'invalid_messages', error.message, { param: 'messages', hint: error.hint })
  }
}

function ruleOf(
  { response_format }: ChatFields,
  tools: readonly ChatTool[],
  forced: boolean,
): Rule | undefined {
  const format = response_format?.type ?? 'text'
  if (format !== 'text' && tools.length > 0) {
    const param = 'response_format'
    throw new ApiError(400, 'invalid_value', `${param}: an answer in JSON calls no tools`, {
      ...{ param, hint: 'leave tools out, or set tool_choice to none' },
    })
  }
  if (forced) return callRule(tools)
  if (response_format?.type === 'json_schema') return schemaRule(response_format.json_schema.schema)
  return format === 'json_object' ? anyObject : undefined
}

/** @param forced whether every text is a call, and nothing else is said */
function formOf(model: string, forced: boolean): Form {
  const about = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model }
  return {
    head: {
      whole: { object: 'chat.completion', ...about },
      chunk: { object: 'chat.completion.chunk', ...about },
    },
    start: index => ({
      index,
      delta: { role: 'assistant', content: '' },
      logprobs: null,
      finish_reason: null,
    }),
    chunk: part => ({
      index: part.index,
      delta: { ...(forced || part.text === '' ? {} : { content: part.text }), ...callsOf(part, true) },
      logprobs: logprobsOf(part.tokens),
      finish_reason: part.finish,
    }),
    whole: part => ({
      index: part.index,
      message: {
        role: 'assistant',
        content: forced || (part.calls.length > 0 && part.text.trim() === '') ? null : part.text,
        refusal: null,
        ...callsOf(part, false),
      },
      logprobs: logprobsOf(part.tokens),
      finish_reason: part.finish,
    }),
  }
}

function callsOf({ calls }: Part, indexed: boolean): object {
  if (calls.length === 0) return {}
  const tool_calls = calls.map((call, index) => {
    const made = { id: `call_${randomUUID()}`, type: 'function', function: call }
    return indexed ? { index, ...made } : made
  })
  return { tool_calls }
}

function logprobsOf(tokens: readonly TokenLogprob[]): object | null {
  if (tokens.length === 0) return null
  return { content: tokens.map(({ top, ...token }) => ({ ...token, top_logprobs: top })), refusal: null }
}
