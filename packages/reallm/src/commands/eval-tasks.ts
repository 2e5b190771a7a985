import type { Measured, Task } from '@reallm/eval'
import type { CachedTaskResult, EvaluationDevice } from '@reallm/pipeline'
import { type Io, print, progressOn, table } from '../io.ts'
import { measuredBefore } from './evaluation-text.ts'
import { documentsFor } from './task-documents.ts'

interface Options {
  readonly tasks: readonly string[]
  readonly taskData?: string | undefined
  readonly limit?: number | undefined
  readonly items?: boolean | undefined
  readonly adapter?: string | undefined
  readonly device: EvaluationDevice
  readonly threads?: number | undefined
  readonly cache: boolean
  readonly json?: boolean | undefined
}

/** `reallm eval <model> --tasks …`: benchmarks one after another. */
export async function evalTasks(io: Io, spec: string, options: Options): Promise<void> {
  const { taskNamed } = await import('@reallm/eval')
  const { evaluateOpenedTask, inStages, openEvaluated } = await import('@reallm/pipeline')
  const tasks = options.tasks.map(taskNamed)
  const progress = progressOn(io)
  const { onProgress } = progress
  const { signal } = io
  const { adapter, device, threads, limit, cache } = options
  try {
    // Data first: a benchmark that is missing is known before a model is read.
    const benchmarks: { task: Task; documents: unknown[] }[] = []
    for (const task of tasks) {
      benchmarks.push({ task, documents: await documentsFor(task, options.taskData, signal) })
    }
    const work = { signal, onProgress }
    const opened = await openEvaluated([{ spec, adapter }], { ...work, device, threads })
    try {
      const { engine } = opened
      const [model] = opened.models
      const tokenizer = await model.weights.tokenizer()
      const results: CachedTaskResult[] = []
      const step = { share: 1, events: ['task-step'] }
      const stages = inStages(Object.fromEntries(benchmarks.map(({ task }) => [task.name, step])), work)
      for (const benchmark of benchmarks) {
        const more = { ...stages.work(benchmark.task.name), limit, cache }
        results.push(await evaluateOpenedTask(engine, model, tokenizer, benchmark, more))
      }
      progress.end()
      const shown = options.items ? results : results.map(({ answers: _, ...result }) => result)
      const { bytes } = model.weights.files
      print(io, options, { tasks: shown, bytes, engine }, () => {
        const isKept = results.some(({ keptRequests }) => keptRequests > 0)
        return `${tableOf(results)}${engine}${isKept ? `; ${measuredBefore}` : ''}\n`
      })
    } finally {
      await opened.close()
    }
  } finally {
    progress.end()
  }
}

const percent = ({ value, error }: Measured): string =>
  `${(100 * value).toFixed(2)} ± ${(100 * error).toFixed(2)}`

const tableOf = (results: readonly CachedTaskResult[]): string =>
  table([
    ['task', 'documents', 'acc, %', 'acc_norm, %', 'perplexity', 's'],
    ...results.map(({ task, documents, acc, accNorm, perplexity, seconds }) => [
      task,
      String(documents),
      percent(acc),
      accNorm ? percent(accNorm) : '',
      perplexity?.toFixed(3) ?? '',
      seconds.toFixed(1),
    ]),
  ])
