import { type Evaluation, type PerplexityOptions, type Task, windowLength } from '@reallm/eval'
import { counted, ReallmError } from '@reallm/tensor-io'
import type { ModelWeights, TextTokenizer } from '@reallm/transformer'
import { partsOfModel } from '../open/model-parts.ts'
import { awkwardTexts } from '../output/awkward-texts.ts'
import { inStages, type Stage } from '../stages.ts'
import {
  type CachedOptions,
  type CachedTaskResult,
  evaluateOpenedTask,
  evaluatePerplexities,
} from './evaluate-opened.ts'
import { type EvaluatedOptions, openEvaluated } from './open-evaluated.ts'

/** Options of `compareModels`. */
export interface CompareOptions
  extends EvaluatedOptions,
    CachedOptions,
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
  /** Share of positions where the first model's likeliest token is among this one's five. */
  readonly top5?: number | undefined
  /** Of resampled windows, 95 %. */
  readonly intervals?: Evaluation['intervals']
  readonly tasks: readonly Omit<CachedTaskResult, 'answers'>[]
}

/** Several models measured alike, the first of them the original. */
export interface Comparison {
  /** How perplexity was measured; absent without a text. */
  readonly protocol?: string | undefined
  /** What computed it. */
  readonly engine: string
  /** Whether some of it comes from earlier runs. */
  readonly cached: boolean
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
  { text, tasks = [], limit, device, threads, cache, signal, onProgress, ...protocol }: CompareOptions,
): Promise<Comparison> {
  if (specs.length < 2) throw new ReallmError('bad-option', 'a comparison needs two models or more')
  if (text === undefined && tasks.length === 0) {
    throw new ReallmError('bad-option', 'nothing to compare by', { hint: 'give a text or tasks' })
  }
  const work = { signal, onProgress }
  const opened = await openEvaluated(
    specs.map(spec => ({ spec })),
    { ...work, device, threads, positions: text === undefined ? 0 : windowLength(protocol, 0) },
  )
  try {
    const { engine } = opened
    const [against, ...models] = opened.models
    const tokenizer = await against.weights.tokenizer()
    for (const { weights } of models) {
      requireSameIds(tokenizer, await weights.tokenizer(), [against.weights, weights])
    }
    const stages = inStages(stagesOf(specs, text, tasks), work)
    const options = {
      ...stages.work(PREDICT),
      ...protocol,
      ctx: windowLength(protocol, ...opened.models.map(({ weights }) => weights.config.maxPositions)),
      cache,
      bos: tokenizer.encode('', { special: true })[0],
    }
    const found =
      text === undefined
        ? []
        : await evaluatePerplexities({ engine, models, against }, tokenizer.encode(text), options)
    const compared: ComparedModel[] = []
    for (const [i, model] of opened.models.entries()) {
      const results: Omit<CachedTaskResult, 'answers'>[] = []
      for (const benchmark of tasks) {
        const { answers: _, ...result } = await evaluateOpenedTask(engine, model, tokenizer, benchmark, {
          ...stages.work(benchmarkOf(i, benchmark.task)),
          ...{ limit, cache },
        })
        results.push(result)
      }
      const { config, files } = model.weights
      const bitsPerWeight = (8 * files.bytes) / partsOfModel(config).parameters
      const quality = i > 0 ? qualityOf(found[i - 1]) : originalOf(found[0])
      compared.push({ model: specs[i], bytes: files.bytes, bitsPerWeight, ...quality, tasks: results })
    }
    const reused = [
      ...found.map(({ keptWindows }) => keptWindows),
      ...compared.flatMap(({ tasks }) => tasks.map(({ keptRequests }) => keptRequests)),
    ]
    return {
      protocol: found[0] && protocolOf(found[0], protocol.protocol),
      ...{ engine, cached: reused.some(count => count > 0), models: compared },
    }
  } finally {
    await opened.close()
  }
}

const PREDICT = 'predict'
const benchmarkOf = (model: number, { name }: Task): string => `${model} ${name}`

/** Predictions of all models, then each benchmark with each model. */
function stagesOf(
  specs: readonly string[],
  text: string | undefined,
  tasks: NonNullable<CompareOptions['tasks']>,
): Record<string, Stage> {
  const predict = { share: text === undefined ? 0 : specs.length, events: ['window-end', 'block-end'] }
  const measure = { share: 1, events: ['task-step'] }
  const measured = specs.flatMap((_, i) => tasks.map(({ task }) => [benchmarkOf(i, task), measure] as const))
  return { [PREDICT]: predict, ...Object.fromEntries(measured) }
}

type Quality = Pick<ComparedModel, 'perplexity' | 'ratio' | 'kl' | 'top1' | 'top5' | 'intervals'>

const originalOf = (found: Evaluation | undefined): Quality => ({
  perplexity: found && Math.exp(found.otherLoss!),
})

const qualityOf = (found: Evaluation | undefined): Quality => ({
  perplexity: found?.perplexity,
  ratio: found && Math.exp(found.loss - found.otherLoss!),
  kl: found?.kl,
  top1: found?.top1,
  top5: found?.top5,
  intervals: found?.intervals,
})

const protocolOf = ({ windows, tokens }: Evaluation, name = 'half'): string =>
  `${name}: ${counted(windows, 'window')}, ${counted(tokens, 'token')} scored`

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
