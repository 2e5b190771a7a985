import type { ProtocolName } from '@reallm/eval'
import { bytesText, counted, type LongWork } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/tensor-io/models'
import { Command, Option } from 'commander'
import { type Io, print, progressOn } from '../io.ts'
import { parseTokens, parseWhole } from '../options.ts'
import { readText } from '../read-text.ts'
import { evalTasks } from './eval-tasks.ts'

interface Options {
  text?: string | undefined
  tasks?: readonly string[] | undefined
  taskData?: string | undefined
  limit?: number | undefined
  items?: boolean | undefined
  tokens?: string | undefined
  protocol: ProtocolName
  ctx?: number | undefined
  windows?: number | undefined
  against?: string | undefined
  adapter?: string | undefined
  json?: boolean | undefined
}

/** `reallm eval <model> --text FILE` */
export const evalCommand = (io: Io): Command =>
  new Command('eval')
    .description(
      'Measure perplexity on a text, how far a model is from its original, and what it knows by benchmarks.',
    )
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .addOption(
      new Option('--text <file>', 'text to predict, tokenised once as a whole, without BOS').conflicts(
        'tokens',
      ),
    )
    .addOption(
      new Option(
        '--tasks <names>',
        "zero-shot benchmarks in lm-evaluation-harness's definitions, by commas: arc_easy, arc_challenge, piqa, hellaswag, winogrande, boolq, lambada_openai",
      )
        .argParser(names => names.split(',').map(name => name.trim()))
        .conflicts(['text', 'tokens', 'against']),
    )
    .option(
      '--task-data <dir>',
      'directory of <task>.parquet, .jsonl or .json; default: downloaded from the Hugging Face hub',
    )
    .option('--limit <number>', 'only the first so many documents of each benchmark', parseWhole(1))
    .option('--items', 'with --json: what the model did with each document')
    .option(
      '--tokens <file>',
      '[[id, …], …]: every row one window, all positions after the first scored; no tokenizer needed',
    )
    .addOption(
      new Option(
        '--protocol <name>',
        'half: windows side by side, second half of each scored; strided: overlapping windows, every token scored once; full: all positions after the first; or as a paper or program does: gptq (2048), huggingface, llama.cpp',
      )
        .choices(['half', 'strided', 'full', 'gptq', 'huggingface', 'llama.cpp'])
        .default('half'),
    )
    .option('--ctx <tokens>', 'tokens of a window; default 512, or what the protocol names', parseWhole(2))
    .option('--windows <number>', 'only the first so many windows', parseWhole(1))
    .option('--against <model>', 'the original: adds KL divergence and top-1 agreement')
    .option('--adapter <dir>', 'LoRA, rsLoRA or DoRA adapter in PEFT layout')
    .option('--json', '{"perplexity":…, "loss":…, "tokens":…, "kl":…, "top1":…, "bytes":…} on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm eval out/ --text held-out.txt
  $ reallm eval out/ --text wiki.test.raw --ctx 512 --windows 40 --against model.gguf
  $ reallm eval model/ --tokens windows.json --json | jq .perplexity
  $ reallm eval out/ --tasks arc_easy,piqa,lambada_openai --limit 500
`,
    )
    .action(async (spec: string, options: Options) => {
      if (options.tasks) return evalTasks(io, spec, { ...options, tasks: options.tasks })
      const { ReallmError } = await import('@reallm/tensor-io')
      const { perplexity } = await import('@reallm/eval')
      const { streamed, useBackend } = await import('@reallm/transformer')
      const { openAny } = await import('../open.ts')
      const file = options.tokens ?? options.text
      if (file === undefined) {
        throw new ReallmError('bad-option', 'nothing to predict', {
          hint: 'give --text FILE, --tokens FILE.json or --tasks NAMES',
        })
      }
      const contents = await readText(file)
      const progress = progressOn(io)
      const { onProgress } = progress
      const work = { signal: io.signal, onProgress }
      const model = await openAny(spec, { adapter: options.adapter, onProgress })
      const against =
        options.against === undefined ? undefined : await openAny(options.against, { onProgress })
      try {
        const tokenizer = options.tokens ? undefined : await model.tokenizer()
        const tokens = tokenizer ? tokenizer.encode(contents) : parseTokens(contents, file)
        await useBackend()
        const { seconds, ...result } = await perplexity(streamed(model), tokens, {
          protocol: options.protocol,
          bos: tokenizer?.encode('', { special: true })[0],
          ctx: options.ctx,
          signal: io.signal,
          onProgress,
          windows: options.windows,
          against: against && streamed(against),
        }).catch((error: unknown) => explainNumeric(error, against ? [model, against] : [model], work))
        progress.end()
        const measured = { ...result, bytes: model.files.bytes }
        print(io, options, measured, () => {
          const compared =
            against && measured.kl !== undefined
              ? `KL divergence ${measured.kl.toFixed(5)} nats per token, same likeliest token ${(100 * measured.top1!).toFixed(1)} %\n`
              : ''
          return `perplexity ${measured.perplexity.toFixed(4)}, loss ${measured.loss.toFixed(5)} nats over ${counted(measured.tokens, 'token')} in ${counted(measured.windows, 'window')} (${bytesText(measured.bytes)}, ${seconds.toFixed(1)} s)\n${compared}`
        })
      } finally {
        progress.end()
        await model.close()
        await against?.close()
      }
    })

/** A loss that is no number usually comes of weights that are none: names them. */
async function explainNumeric(
  error: unknown,
  models: readonly ModelWeights[],
  work: LongWork,
): Promise<never> {
  if (error instanceof Error && 'code' in error && error.code === 'numeric') {
    const { checkWeights } = await import('@reallm/pipeline')
    for (const model of models) await checkWeights(model, work)
  }
  throw error
}
