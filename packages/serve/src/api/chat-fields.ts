import type { ChatMessage, ChatTool } from '@reallm/tensor-io/models'
import * as z from 'zod'
import { ApiError } from '../errors.ts'
import { commonFields } from './fields.ts'

const text = z.strictObject({ type: z.literal('text'), text: z.string() })
const content = z.union([z.string(), z.array(text)], { error: 'only text is understood' })
const name = z.string().regex(/^[\w.-]{1,128}$/, { error: 'write letters, digits, _, . and -' })
const call = z.object({
  id: z.string(),
  type: z.literal('function'),
  function: z.object({ name: z.string(), arguments: z.string() }),
})
const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content, name: z.string().optional() }),
  z.object({ role: z.literal('assistant'), content: content.nullish(), tool_calls: z.array(call).nullish() }),
  z.object({ role: z.literal('tool'), content, tool_call_id: z.string() }),
])
const tool = z.object({
  type: z.literal('function'),
  function: z.object({
    name,
    description: z.string().optional(),
    parameters: z.record(z.string(), z.unknown()).optional(),
  }),
})

/** The body of a request for a chat completion. */
export const chatFields = z.strictObject({
  ...commonFields,
  messages: z.array(message).min(1),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  // variables of the chat template
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  reasoning_effort: z.string().nullish(),
  tools: z.array(tool).max(128).nullish(),
  tool_choice: z
    .union([
      z.enum(['none', 'auto', 'required']),
      z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
    ])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  response_format: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('text') }),
      z.strictObject({ type: z.literal('json_object') }),
      z.strictObject({ type: z.literal('json_schema'), json_schema: z.object({ schema: z.unknown() }) }),
    ])
    .nullish(),
})

export type ChatFields = z.infer<typeof chatFields>

/** The conversation as chat templates know it: arguments of calls as values, not as text. */
export function messagesOf({ messages }: ChatFields): ChatMessage[] {
  return messages.map((each, i) => {
    const said = { content: typeof each.content === 'string' ? each.content : joined(each.content ?? []) }
    if (each.role === 'tool') return { ...said, role: 'tool', tool_call_id: each.tool_call_id }
    if (each.role !== 'assistant') return { ...said, role: each.role === 'user' ? 'user' : 'system' }
    if (!each.tool_calls?.length) return { ...said, role: 'assistant' }
    const tool_calls = each.tool_calls.map(({ id, type, function: called }, c) => {
      const param = `messages.${i}.tool_calls.${c}.function.arguments`
      return { id, type, function: { name: called.name, arguments: jsonOf(called.arguments, param) } }
    })
    return { ...said, role: 'assistant', tool_calls }
  })
}

/** Variables of the chat template, like `enable_thinking`. */
export function variablesOf({ chat_template_kwargs, reasoning_effort }: ChatFields): Record<string, unknown> {
  const variables = { ...chat_template_kwargs }
  if (typeof reasoning_effort === 'string') variables.reasoning_effort = reasoning_effort
  return variables
}

/** Functions that the answer may call, and whether it has to call one. */
export function toolsOf({ tools, tool_choice }: ChatFields): { tools: ChatTool[]; forced: boolean } {
  const given = tools ?? []
  if (tool_choice === 'none') return { tools: [], forced: false }
  if (typeof tool_choice === 'object' && tool_choice) {
    const chosen = given.filter(each => each.function.name === tool_choice.function.name)
    if (chosen.length === 0) throw wrong('there is no such function', 'tool_choice')
    return { tools: chosen, forced: true }
  }
  if (tool_choice === 'required' && given.length === 0) throw wrong('there are no functions', 'tool_choice')
  return { tools: given, forced: tool_choice === 'required' }
}

const joined = (parts: readonly { text: string }[]): string => parts.map(part => part.text).join('')

function jsonOf(json: string, param: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw wrong('it is no JSON', param)
  }
}

const wrong = (message: string, param: string) =>
  new ApiError(400, 'invalid_value', `${param}: ${message}`, { param })
