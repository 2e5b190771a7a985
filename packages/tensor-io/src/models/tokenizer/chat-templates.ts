import { ReallmError } from '../../core/errors.ts'
import { type RenderTemplate, readTemplate } from './chat-template.ts'

/** The chat templates of a model. */
export interface ChatTemplates {
  readonly names: readonly string[]
  /**
   * The one to use.
   *
   * @param hasTools functions may be called: `tool_use` is meant then, where there is a template of that name
   * @throws `unsupported` when there is none; `bad-option` for a name that none has
   */
  choose(name: string | undefined, hasTools: boolean): RenderTemplate
}

/**
 * The templates of `chat_template`, each read when it is used first.
 *
 * @param fileOf what errors call the file of a template
 */
export function chatTemplatesOf(given: unknown, fileOf: (template: string) => string): ChatTemplates {
  const sources = new Map(namedTemplates(given).map(({ name, template }) => [name, template]))
  const read = new Map<string, RenderTemplate>()
  const names = [...sources.keys()]
  return {
    names,
    choose(name, hasTools) {
      const chosen = name ?? (hasTools && sources.has('tool_use') ? 'tool_use' : 'default')
      const source = sources.get(chosen)
      if (names.length === 0) {
        throw new ReallmError('unsupported', 'this model has no chat template', {
          hint: 'give it plain text to continue',
        })
      }
      if (source === undefined) {
        throw new ReallmError('bad-option', `${fileOf('default')}: there is no chat template ${chosen}`, {
          hint: `there is: ${names.join(', ')}`,
        })
      }
      const render = read.get(chosen) ?? readTemplate(fileOf(chosen), source)
      read.set(chosen, render)
      return render
    },
  }
}

/** `chat_template` is a text, or a list of named ones; the one to use comes first and is called `default`. */
export function namedTemplates(given: unknown): { name: string; template: string }[] {
  if (typeof given === 'string') return [{ name: 'default', template: given }]
  const named = (Array.isArray(given) ? given : []).filter(isNamed)
  const chosen = named.find(({ name }) => name === 'default') ?? named[0]
  return chosen === undefined
    ? []
    : [
        { name: 'default', template: chosen.template },
        ...named.filter(each => each !== chosen && each.name !== 'default'),
      ]
}

const isNamed = (each: unknown): each is { name: string; template: string } =>
  ['name', 'template'].every(key => typeof (Object(each) as Record<string, unknown>)[key] === 'string')
