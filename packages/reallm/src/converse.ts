import { type LongWork, ReallmError, throwIfAborted } from '@reallm/tensor-io'
import { type LoadOptions, loadModel } from './load.ts'

/** Options of `converse`. */
export interface ConverseOptions extends Pick<LoadOptions, 'device' | 'threads'>, LongWork {
  /** How many conversations. */
  readonly count: number
  /** Tokens of an answer, at most. Default 220. */
  readonly tokens?: number | undefined
  /** Same seed, same conversations. Default 0. */
  readonly seed?: number | undefined
  /** What the model is told before each. Default: what its chat template says. */
  readonly system?: string | undefined
}

/** Tokens of a question, at most. */
const longestQuestion = 60

const drawing = { temperature: 0.9, topP: 0.95 }

/** Stands for a question while the template is read. */
const MARK = 'reallm-question'

/**
 * Conversations that a chat model has with itself, as calibration text for it: it writes what a user would ask, then its answer
 * (Magpie, arXiv 2406.08464). Each comes as its chat template writes it. Where the model asks nothing, there is one less.
 *
 * @throws `unsupported` for a model without a chat template, or with one that changes questions; what `load` throws; `aborted`
 * @example
 * for await (const text of converse('model', { count: 40 })) await appendFile('chat.txt', text)
 */
export async function* converse(spec: string, options: ConverseOptions): AsyncGenerator<string> {
  const { count, tokens = 220, seed = 0, system, device, threads, signal, onProgress } = options
  using model = await loadModel(spec, { device, threads, signal, onProgress })
  const tokenizer = model.tokenizer!
  const beginning = system === undefined ? [] : [{ role: 'system', content: system }]
  const asking = (content: string) => [...beginning, { role: 'user', content }]

  const [before, ...after] = tokenizer.chat(asking(MARK)).split(MARK)
  if (after.length !== 1)
    throw new ReallmError('unsupported', `${spec}: its chat template does not write what a user asks once`, {
      hint: 'calibrate on a text with --calib',
    })
  const written = async (text: string, maxTokens: number, drawn: number) => {
    const generation = model.generate(tokenizer.encode(text), { ...drawing, maxTokens, seed: drawn, signal })
    return (await generation.text()).trim()
  }

  for (let i = 0; i < count; i++) {
    throwIfAborted(signal)
    const drawn = 100_000 * seed + i
    const question = await written(before, longestQuestion, drawn)
    if (question !== '') {
      const messages = asking(question)
      const answer = await written(tokenizer.chat(messages), tokens, drawn + 50_000)
      yield tokenizer.chat([...messages, { role: 'assistant', content: answer }], { answer: false })
    }
    onProgress?.({ event: 'conversation-end', done: i + 1, total: count })
  }
}
