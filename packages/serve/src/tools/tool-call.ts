import type { ChatTool } from '@reallm/tensor-io/models'
import { constant, object } from '../grammar/json.ts'
import { any, type Rule } from '../grammar/rule.ts'
import { schemaRule } from '../grammar/schema.ts'

/** A function that an answer calls; `arguments` is JSON. */
export interface ToolCall {
  readonly name: string
  readonly arguments: string
}

/** What functions without `parameters` take: nothing, as OpenAI's API has it. */
const nothing = { type: 'object', additionalProperties: false }

/** The grammar of a call of one of the functions, as Llama 3 and Hermes write it. */
export function callRule(tools: readonly ChatTool[]): Rule {
  const calls = tools.map(({ function: { name, parameters = nothing } }) =>
    object([
      { key: constant('name'), value: constant(name), required: true },
      { key: constant('arguments'), value: schemaRule(parameters), required: true },
    ]),
  )
  return any(...calls)
}
