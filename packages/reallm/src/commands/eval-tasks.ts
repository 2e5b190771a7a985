import type { Measured, TaskResult } from '@reallm/eval'
import { type Io, print, progressOn, table } from '../io.ts'
import { documentsFor } from './task-documents.ts'

interface Options {
  readonly tasks: readonly string[]
  readonly taskData?: string | undefined
  readonly limit?: number | undefined
  readonly items?: boolean | undefined
  readonly adapter?: string | undefined
  readonly json?: boolean | undefined
}

/** `reallm eval <model> --tasks …`: benchmarks one after another. */
export async function evalTasks(io: Io, spec: string, options: Options): Promise<void> {
  const { evaluateTask, taskNamed } = await import('@reallm/eval')
  const { streamed, useBackend } = await import('@reallm/transformer')
  const { openAny } = await import('../open.ts')
  const tasks = options.tasks.map(taskNamed)
  const progress = progressOn(io)
  const { onProgress } = progress
  const { signal } = io
  try {
    // Data first: a benchmark that is missing is known before a model is read.
    const documents: unknown[][] = []
    for (const task of tasks) documents.push(await documentsFor(task, options.taskData, signal))
    const model = await openAny(spec, { adapter: options.adapter, onProgress })
    try {
      await useBackend()
      const tokenizer = await model.tokenizer()
      const results: TaskResult[] = []
      for (const [i, task] of tasks.entries()) {
        const { limit } = options
        results.push(
          await evaluateTask(streamed(model), tokenizer, task, documents[i], { limit, signal, onProgress }),
        )
      }
      progress.end()
      const shown = options.items ? results : results.map(({ answers: _, ...result }) => result)
      print(io, options, { tasks: shown, bytes: model.files.bytes }, () => tableOf(results))
    } finally {
      await model.close()
    }
  } finally {
    progress.end()
  }
}

const percent = ({ value, error }: Measured): string =>
  `${(100 * value).toFixed(2)} ± ${(100 * error).toFixed(2)}`

const tableOf = (results: readonly TaskResult[]): string =>
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
