import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { ProtocolName } from '@reallm/eval'
import type { EvaluationDevice } from '@reallm/pipeline'
import { Command, Option } from 'commander'
import { type Io, print, progressOn, table } from '../io.ts'
import { cacheOption, evaluationDeviceOption, parseWhole } from '../options.ts'
import { readText } from '../read-text.ts'
import { documentsFor } from './task-documents.ts'

interface Options {
  text?: string | undefined
  protocol: ProtocolName
  ctx?: number | undefined
  windows?: number | undefined
  tasks?: readonly string[] | undefined
  taskData?: string | undefined
  limit?: number | undefined
  device: EvaluationDevice
  threads?: number | undefined
  cache: boolean
  html?: string | undefined
  markdown?: boolean | undefined
  force?: boolean | undefined
  json?: boolean | undefined
}

/** `reallm compare <original> <model>…` */
export const compareCommand = (io: Io): Command =>
  new Command('compare')
    .description('Measure models side by side: size, perplexity, distance from the first one, benchmarks.')
    .argument('<original>', 'what the others are compared with: any model')
    .argument('<models...>', 'compressed or other forms of it')
    .option('--text <file>', 'text to predict, tokenised once as a whole, without BOS')
    .addOption(
      new Option('--protocol <name>', 'as in `reallm eval`')
        .choices(['half', 'strided', 'full', 'gptq', 'huggingface', 'llama.cpp'])
        .default('half'),
    )
    .option(
      '--ctx <tokens>',
      'tokens of a window; default 512, fewer for a model of fewer positions, or what the protocol names',
      parseWhole(2),
    )
    .option('--windows <number>', 'only this many windows, from the first', parseWhole(1))
    .option('--tasks <names>', 'benchmarks, separated by commas, as in `reallm eval`', names =>
      names.split(',').map(name => name.trim()),
    )
    .option(
      '--task-data <dir>',
      'directory of <task>.parquet, .jsonl or .json; default: the Hugging Face hub',
    )
    .option('--limit <number>', 'only this many documents of each benchmark, from the first', parseWhole(1))
    .addOption(evaluationDeviceOption())
    .option('--threads <number>', 'threads of wasm; default 1', parseWhole(1))
    .addOption(cacheOption())
    .option('--html <file>', 'write the table and a plot as a page too')
    .option('--force', 'replace that page')
    .option('--markdown', 'a Markdown table on stdout')
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm compare model.gguf out-3 out-2 --text held-out.txt
  $ reallm compare model/ out-3 --tasks arc_easy,piqa --limit 500 --html compared.html
  $ reallm compare model/ out-3 --text wiki.test.raw --windows 24 --markdown >> README.md
`,
    )
    .action(async (original: string, others: string[], options: Options) => {
      const pipeline = await import('@reallm/pipeline')
      const { taskNamed } = await import('@reallm/eval')
      const { signal } = io
      const { protocol, ctx, windows, limit, html, device, threads, cache } = options
      const specs = [original, ...others]
      const text = options.text === undefined ? undefined : await readText(options.text)
      const tasks: { task: ReturnType<typeof taskNamed>; documents: unknown[] }[] = []
      for (const task of (options.tasks ?? []).map(taskNamed)) {
        tasks.push({ task, documents: await documentsFor(task, options.taskData, signal) })
      }
      const progress = progressOn(io)
      const { onProgress } = progress
      const compared = () =>
        pipeline.compareModels(specs, {
          ...{ text, tasks, protocol, ctx, windows, limit },
          ...{ device, threads, cache, signal, onProgress },
        })
      const published = (page: string) => {
        const output = {
          program: 'reallm compare',
          inputs: { model: original },
          file: {},
          force: options.force,
        }
        return pipeline.writeOutput(page, output, async (folder, place) => {
          const comparison = await compared()
          await writeFile(join(folder, basename(place)), pipeline.comparisonHtml(comparison))
          return comparison
        })
      }
      try {
        const comparison = await (html === undefined ? compared() : published(html))
        progress.end()
        print(io, options, comparison, () =>
          options.markdown
            ? pipeline.comparisonMarkdown(comparison)
            : `${table(pipeline.comparisonRows(comparison))}${pipeline.comparisonNote(comparison)}\n`,
        )
      } finally {
        progress.end()
      }
    })
