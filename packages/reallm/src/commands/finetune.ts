import type { ProgressEvent } from '@reallm/tensor-io'
import { counted } from '@reallm/tensor-io'
import { Command } from 'commander'
import { type Io, print, progressOn } from '../io.ts'
import { parseNumber, parseWhole } from '../options.ts'

interface Options {
  data: string
  output: string
  blockwise?: boolean | undefined
  blockSteps?: number | undefined
  steps: number
  length?: number | undefined
  rows?: number | undefined
  passes?: number | undefined
  validation?: number | undefined
  kd?: string | undefined
  rank: number
  factorBits?: number | undefined
  dora?: boolean | undefined
  learningRate?: number | undefined
  seed: number
  resume?: boolean | undefined
  force?: boolean | undefined
  json?: boolean | undefined
}

/** `reallm finetune <artifact> --data FILE -o DIR` */
export const finetuneCommand = (io: Io): Command =>
  new Command('finetune')
    .description('Train small low-rank parts beside the frozen weights of a compressed model on your text.')
    .argument('<artifact>', 'what `reallm compress` wrote, or any other model')
    .requiredOption(
      '--data <file>',
      'text, or .jsonl with {"text":…}, {"prompt":…, "completion":…} or {"messages":[…]}',
    )
    .requiredOption('-o, --output <dir>', 'directory to write, new or empty')
    .option(
      '--blockwise',
      'block-wise fine-tuning first: each block learns the outputs of the original’s (needs --kd)',
    )
    .option('--block-steps <number>', 'optimiser steps of each block, at most (default 100)', parseWhole(1))
    .option('--steps <number>', 'optimiser steps', parseWhole(0), 200)
    .option('--length <tokens>', 'tokens per sequence (default 256)', parseWhole(2))
    .option('--rows <number>', 'sequences per step (default 4)', parseWhole(1))
    .option('--passes <number>', 'how often each sequence is seen (default 1)', parseNumber(1, 1000))
    .option(
      '--validation <part>',
      'part of the data to measure on, 0 for none (default 0.05)',
      parseNumber(0, 0.9),
    )
    .option('--kd <model>', 'the original model: learn from its predictions')
    .option('--rank <number>', 'rank of new parts', parseWhole(1), 8)
    .option(
      '--factor-bits <number>',
      'bits of each stored entry of the new parts: 1 to 8, or 16 (default 8)',
      parseWhole(1),
    )
    .option('--dora', "train each row's magnitude apart from its direction")
    .option(
      '--learning-rate <number>',
      'highest learning rate (default 0.003, with --kd 0.001)',
      parseNumber(0, 1),
    )
    .option('--seed <number>', 'same seed and input, same result', parseWhole(0), 0)
    .option('--resume', 'continue a run that was stopped or killed')
    .option('--force', 'replace what an earlier run wrote to the output')
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm finetune out/ --data mine.txt -o mine/                        on your own text
  $ reallm finetune out/ --data calib.txt --kd model/ --blockwise -o better/   recovers what compression lost
  $ reallm generate mine/ -p "Dear"                                      the fine-tuned artifact
  $ reallm generate out/ --adapter mine/ -p "Dear"                       or its adapter (PEFT layout) beside the artifact as it was
`,
    )
    .action(async (spec: string, options: Options) => {
      const { finetune } = await import('@reallm/pipeline')
      const { ReallmError } = await import('@reallm/tensor-io')
      const progress = progressOn(io)
      const measure = options.kd ? 'divergence' : 'loss'
      const onProgress = (event: ProgressEvent) => {
        const { error, done, total, name } = event
        if (event.event === 'validation-end') {
          if (io.quiet) return
          progress.end()
          io.err(`step ${done}: ${measure} on validation data ${error?.toFixed(4)}\n`)
        } else if (event.event === 'prompts-shortened') {
          progress.end()
          io.err(`${done} of ${total} prompts lose their beginnings; the first is of ${name}\n`)
        } else if (event.event === 'examples-empty') {
          progress.end()
          io.err(`${done} of ${total} examples have nothing to learn; the first is ${name}\n`)
        } else if (event.event === 'step-end') {
          progress.onProgress({
            ...event,
            name: `${done}, ${options.kd ? 'KL' : 'loss'} ${error?.toFixed(4)}`,
          })
        } else {
          progress.onProgress(event)
        }
      }
      try {
        const result = await finetune(spec, {
          data: options.data,
          to: options.output,
          steps: options.steps,
          rank: options.rank,
          seed: options.seed,
          signal: io.signal,
          onProgress,
          blockwise: options.blockSteps === undefined ? options.blockwise : { steps: options.blockSteps },
          length: options.length,
          rows: options.rows,
          passes: options.passes,
          validation: options.validation,
          factorBits: options.factorBits,
          teacher: options.kd,
          dora: options.dora,
          learningRate: options.learningRate,
          resume: options.resume,
          force: options.force,
        })
        progress.end()
        const { adapter: _, ...summary } = { output: options.output, ...result }
        print(io, options, summary, () => {
          const { before, after } = summary
          const gain =
            before !== undefined && after !== undefined
              ? `, ${measure} on validation data ${before.toFixed(4)} → ${after.toFixed(4)}`
              : ''
          return `${options.output}: ${counted(summary.steps, 'step')}${gain}\n`
        })
      } catch (error) {
        progress.end()
        if (io.signal.aborted || (error instanceof ReallmError && error.code === 'aborted')) {
          throw new ReallmError('aborted', 'stopped; the last checkpoint is kept', {
            hint: 'continue with the same command and --resume',
            cause: error,
          })
        }
        throw error
      }
    })
