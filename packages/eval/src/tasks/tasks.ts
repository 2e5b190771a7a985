import { ReallmError } from '@reallm/tensor-io'
import type { Field } from './fields.ts'
import type { Item, Task } from './task.ts'

/** A question whose answers are compared as continuations of one context. */
const choices = (context: string, answers: readonly string[], gold: number): Item => ({
  requests: answers.map(answer => ({ context, continuation: ` ${answer}` })),
  gold,
  lengths: answers.map(answer => [...answer].length),
})

const arc = (config: 'ARC-Easy' | 'ARC-Challenge', name: string): Task => ({
  name,
  what: `grade-school science questions, the ${config === 'ARC-Easy' ? 'easier' : 'harder'} part`,
  kind: 'choices',
  dataset: { name: 'allenai/ai2_arc', config, split: 'test' },
  item(field) {
    const answers = field.of('choices')
    const gold = answers.texts('label').indexOf(field.text('answerKey'))
    return choices(`Question: ${field.text('question')}\nAnswer:`, answers.texts('text'), gold)
  },
})

const piqa: Task = {
  name: 'piqa',
  what: 'which of two ways reaches a goal in the physical world',
  kind: 'choices',
  dataset: { name: 'baber/piqa', config: 'default', split: 'validation' },
  item: field =>
    choices(
      `Question: ${field.text('goal')}\nAnswer:`,
      [field.text('sol1'), field.text('sol2')],
      field.index('label'),
    ),
}

/** Without the marks that WikiHow left in HellaSwag's texts. */
const cleaned = (text: string) =>
  text
    .trim()
    .replaceAll(' [title]', '. ')
    .replace(/\[.*?\]/g, '')
    .replaceAll('  ', ' ')

/** Python's `str.capitalize`. */
const capitalised = (text: string) => {
  const [first = '', ...rest] = [...text]
  return first.toUpperCase() + rest.join('').toLowerCase()
}

const hellaswag: Task = {
  name: 'hellaswag',
  what: 'which of four endings follows',
  kind: 'choices',
  dataset: { name: 'Rowan/hellaswag', config: 'default', split: 'validation' },
  item: field =>
    choices(
      cleaned(`${field.text('activity_label')}: ${field.text('ctx_a')} ${capitalised(field.text('ctx_b'))}`),
      field.texts('endings').map(cleaned),
      field.index('label'),
    ),
}

const winogrande: Task = {
  name: 'winogrande',
  what: 'which of two words a blank stands for: the likelihood of what follows it decides',
  kind: 'choices',
  dataset: { name: 'allenai/winogrande', config: 'winogrande_xl', split: 'validation' },
  item(field) {
    const sentence = field.text('sentence')
    const blank = sentence.indexOf('_')
    const contexts = [field.text('option1'), field.text('option2')].map(
      word => sentence.slice(0, blank) + word,
    )
    const continuation = ` ${sentence.slice(blank + 1).trim()}`
    return {
      requests: contexts.map(context => ({ context, continuation })),
      gold: field.index('answer') - 1,
      lengths: contexts.map(context => [...context].length),
    }
  },
}

const boolq: Task = {
  name: 'boolq',
  what: 'yes or no to a question about a passage',
  kind: 'choices',
  dataset: { name: 'aps/super_glue', config: 'boolq', split: 'validation' },
  item: (field: Field) =>
    choices(
      `${field.text('passage')}\nQuestion: ${field.text('question')}?\nAnswer:`,
      ['no', 'yes'],
      field.index('label'),
    ),
}

const lambada: Task = {
  name: 'lambada_openai',
  what: 'the last word of a passage of a novel',
  kind: 'word',
  dataset: { name: 'EleutherAI/lambada_openai', config: 'default', split: 'test' },
  item(field) {
    const words = field.text('text').split(' ')
    const word = words.pop()!
    return {
      requests: [{ context: words.join(' '), continuation: ` ${word}` }],
      gold: 0,
      lengths: [[...word].length],
    }
  },
}

/** All benchmarks. */
export const tasks: readonly Task[] = [
  arc('ARC-Easy', 'arc_easy'),
  arc('ARC-Challenge', 'arc_challenge'),
  piqa,
  hellaswag,
  winogrande,
  boolq,
  lambada,
]

/** Throws `bad-option` for a benchmark that isn't there. */
export function taskNamed(name: string): Task {
  const task = tasks.find(task => task.name === name)
  if (task) return task
  throw new ReallmError('bad-option', `there is no task ${name}`, {
    hint: `known: ${tasks.map(task => task.name).join(', ')}`,
  })
}
