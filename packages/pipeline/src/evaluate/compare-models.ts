import { evaluateTask, type PerplexityOptions, perplexities, type Task, type TaskResult } from '@reallm/eval'
import { counted, type LongWork, ReallmError } from '@reallm/tensor-io'
import { type ModelWeights, openWeights, streamed, type TextTokenizer } from '@reallm/transformer'
import { partsOfModel } from '../open/model-parts.ts'
import { awkwardTexts } from '../output/awkward-texts.ts'
import { builtInRegistry } from '../recipes/registry.ts'

export interface CompareOptions
  extends LongWork,
    Pick<PerplexityOptions, 'protocol' | 'ctx' | 'windows' | 'stride'> {
  /** Text to predict. */
  readonly text?: string | undefined
  /** Benchmarks with their documents. */
  readonly tasks?: readonly { readonly task: Task; readonly documents: readonly unknown[] }[] | undefined
  /** Only the first so many documents of each benchmark. */
  readonly limit?: number | undefined
}

/** One model of a comparison; what is compared with the first model is absent for the first itself. */
export interface ComparedModel {
  readonly model: string
  /** Of the weight files. */
  readonly bytes: number
  /** Everything counted. */
  readonly bitsPerWeight: number
  readonly perplexity?: number | undefined
  /** Perplexity over the first model's. */
  readonly ratio?: number | undefined
  /** Mean KL divergence of its predictions from the first model's, nats per token. */
  readonly kl?: number | undefined
  /** Share of positions where both have the same likeliest token. */
  readonly top1?: number | undefined
  readonly tasks: readonly Omit<TaskResult, 'answers'>[]
}

/** Several models measured alike, the first of them the original. */
export interface Comparison {
  /** How perplexity was measured; absent without a text. */
  readonly protocol?: string | undefined
  readonly models: readonly ComparedModel[]
}

/**
 * Measures models side by side: perplexity, KL divergence from the first, benchmarks.
 *
 * @throws `bad-option` for fewer than two models, nothing to measure, or models of different tokenizers
 * @example
 * const { models } = await compareModels(['model.gguf', 'out-3', 'out-2'], { text, windows: 24 })
 * console.table(models)
 */
export async function compareModels(
  specs: readonly string[],
  { text, tasks = [], limit, signal, onProgress, ...protocol }: CompareOptions,
): Promise<Comparison> {
  if (specs.length < 2) throw new ReallmError('bad-option', 'a comparison needs two models or more')
  if (text === undefined && tasks.length === 0) {
    throw new ReallmError('bad-option', 'nothing to compare by', { hint: 'give a text or tasks' })
  }
  const opened: ModelWeights[] = []
  try {
    for (const spec of specs) {
      opened.push(await openWeights(spec, { registry: builtInRegistry(), signal, onProgress }))
    }
    const [first, ...others] = opened
    const tokenizer = await first.tokenizer()
    for (const other of others) requireSameIds(tokenizer, await other.tokenizer(), [first, other])
    const found =
      text === undefined
        ? undefined
        : await measured(first, others, tokenizer.encode(text), {
            ...protocol,
            bos: tokenizer.encode('', { special: true })[0],
            signal,
            onProgress,
          })
    const models: ComparedModel[] = []
    for (const [i, model] of opened.entries()) {
      const results: Omit<TaskResult, 'answers'>[] = []
      for (const { task, documents } of tasks) {
        const work = { limit, signal, onProgress }
        const { answers: _, ...result } = await evaluateTask(
          streamed(model),
          tokenizer,
          task,
          documents,
          work,
        )
        results.push(result)
      }
      const { bytes } = model.files
      const bitsPerWeight = (8 * bytes) / partsOfModel(model.config).parameters
      models.push({ model: specs[i], bytes, bitsPerWeight, ...found?.models[i], tasks: results })
    }
    return { protocol: found?.protocol, models }
  } finally {
    for (const model of opened) await model.close()
  }
}

type Quality = Pick<ComparedModel, 'perplexity' | 'ratio' | 'kl' | 'top1'>

async function measured(
  first: ModelWeights,
  others: readonly ModelWeights[],
  ids: readonly number[],
  options: PerplexityOptions,
): Promise<{ protocol: string; models: readonly Quality[] }> {
  const found = await perplexities(
    others.map(model => streamed(model)),
    ids,
    { ...options, against: streamed(first) },
  )
  const [{ otherLoss, tokens, windows }] = found
  const original = Math.exp(otherLoss!)
  return {
    protocol: `${options.protocol ?? 'half'}: ${counted(windows, 'window')}, ${counted(tokens, 'token')} scored`,
    models: [
      { perplexity: original },
      ...found.map(({ perplexity, kl, top1 }) => ({ perplexity, ratio: perplexity / original, kl, top1 })),
    ],
  }
}

/** Predictions can only be compared of models that cut texts into the same tokens. */
function requireSameIds(
  tokenizer: TextTokenizer,
  other: TextTokenizer,
  [a, b]: readonly [ModelWeights, ModelWeights],
): void {
  const differs = awkwardTexts.find(text => `${tokenizer.encode(text)}` !== `${other.encode(text)}`)
  if (differs === undefined) return
  const text = JSON.stringify(differs)
  throw new ReallmError(
    'bad-option',
    `${a.files.spec} and ${b.files.spec} cut ${text} into different tokens`,
    {
      hint: 'compare models of one family, with one tokenizer',
    },
  )
}
