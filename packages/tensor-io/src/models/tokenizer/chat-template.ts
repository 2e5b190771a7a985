import { Environment, Template } from '@huggingface/jinja'
import { ReallmError } from '../../core/errors.ts'
import { BoundedInterpreter } from './bounded-interpreter.ts'

/** Characters of a template: the longest in use have a tenth. */
const largestTemplate = 1 << 18
/** Steps and characters that any template may use; more for long conversations. */
const budget = { steps: 1_000_000, text: 1 << 22 }

/** Renders a template with its variables. */
export type RenderTemplate = (items: Readonly<Record<string, unknown>>) => string

/**
 * Reads a chat template (Jinja). Its steps and what it writes are bounded, whoever wrote it.
 *
 * @param name what errors call it
 * @throws `bad-file` for a template that is not understood; its function for one that fails or takes too much
 * @example
 * const render = readTemplate('chat_template.jinja', '{% for m in messages %}{{ m.content }}{% endfor %}')
 * render({ messages: [{ role: 'user', content: 'Hello' }] }) // 'Hello'
 */
export function readTemplate(name: string, source: string): RenderTemplate {
  const refuse = (reason: string, cause?: unknown) =>
    new ReallmError('bad-file', `${name}: the chat template cannot be used: ${reason}`, {
      hint: 'use the template of the original model',
      cause,
    })
  const attempt = <T>(run: () => T): T => {
    try {
      return run()
    } catch (cause) {
      throw cause instanceof ReallmError ? cause : refuse(reasonOf(cause), cause)
    }
  }
  if (source.length > largestTemplate) throw refuse(`it has more than ${largestTemplate} characters`)
  const program = attempt(() => new Template(source).parsed)
  return items =>
    attempt(() => {
      const environment = new Environment()
      for (const [key, value] of Object.entries({ ...globals, ...items })) environment.set(key, value)
      const given = JSON.stringify(items).length
      const allowed = { steps: budget.steps + 64 * given, text: budget.text + 8 * given }
      return String(new BoundedInterpreter(environment, allowed, refuse).run(program).value)
    })
}

/** Jinja's globals; the library makes them for unbounded templates only. */
const globals = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
  raise_exception(message: unknown) {
    throw new Error(String(message))
  },
  strftime_now: (format: unknown) => new Template('{{ strftime_now(format) }}').render({ format }),
  range(...args: unknown[]): number[] {
    const [start, stop, step] = args.length < 2 ? [0, args[0], 1] : [args[0], args[1], args[2] ?? 1]
    const [from, by] = [Number(start), Number(step)]
    const length = Math.max(0, Math.ceil((Number(stop) - from) / by))
    // a step of 0, and what is no number, have no length
    if (!(length <= budget.steps)) throw new Error(`range(${args.join(', ')}) is too long`)
    return Array.from({ length }, (_, i) => from + i * by)
  },
}

/** The library leaves loops by exceptions without a message. */
function reasonOf(cause: unknown): string {
  if (cause instanceof RangeError) return 'it is nested too deeply or makes too long a text'
  if (cause instanceof TypeError) return 'it is not well formed'
  const { message } = cause as Error
  return message || 'break or continue stand outside of a loop'
}
