import type { ProtocolName } from '@reallm/eval'
import type { EvaluationDevice } from '@reallm/pipeline'
import { type LongWork, ReallmError } from '@reallm/tensor-io'
import type { ModelWeights } from '@reallm/tensor-io/models'
import { Command, Option } from 'commander'
import { type Io, print, progressOn } from '../io.ts'
import { cacheOption, evaluationDeviceOption, parseTokens, parseWhole } from '../options.ts'
import { readText } from '../read-text.ts'
import { evalTasks } from './eval-tasks.ts'
import { evaluationText } from './evaluation-text.ts'
import { furtherChecks } from './further-checks.ts'

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
  layers?: boolean | undefined
  generation?: boolean | undefined
  device: EvaluationDevice
  threads?: number | undefined
  cache: boolean
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
        "zero-shot benchmarks in lm-evaluation-harness's definitions, separated by commas: arc_easy, arc_challenge, piqa, hellaswag, winogrande, boolq, lambada_openai",
      )
        .argParser(names => names.split(',').map(name => name.trim()))
        .conflicts(['text', 'tokens', 'against']),
    )
    .option(
      '--task-data <dir>',
      'directory of <task>.parquet, .jsonl or .json; default: downloaded from the Hugging Face hub',
    )
    .option('--limit <number>', 'only this many documents of each benchmark, from the first', parseWhole(1))
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
    .option(
      '--ctx <tokens>',
      'tokens of a window; default 512, fewer for a model of fewer positions, or what the protocol names',
      parseWhole(2),
    )
    .option('--windows <number>', 'only this many windows, from the first', parseWhole(1))
    .option('--against <model>', 'the original: adds KL divergence, top-1 and top-5 agreement')
    .option('--layers', 'with --against: errors of the outputs of each layer, over the first windows')
    .option(
      '--generation',
      'what it writes after beginnings of the text: repetition, agreement with the original',
    )
    .addOption(evaluationDeviceOption())
    .option('--threads <number>', 'threads of wasm; default 1', parseWhole(1))
    .addOption(cacheOption())
    .option('--adapter <dir>', 'LoRA, rsLoRA or DoRA adapter in PEFT layout')
    .option(
      '--json',
      '{"perplexity":…, "loss":…, "tokens":…, "kl":…, "top1":…, "intervals":…, "bytes":…, "engine":…} on stdout',
    )
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
      const file = options.tokens ?? options.text
      if (file === undefined) {
        throw new ReallmError('bad-option', 'nothing to predict', {
          hint: 'give --text FILE, --tokens FILE.json or --tasks NAMES',
        })
      }
      if (options.layers && options.against === undefined) {
        throw new ReallmError('bad-option', '--layers compares with the original', {
          hint: 'give --against MODEL',
        })
      }
      const contents = await readText(file)
      const { windowLength } = await import('@reallm/eval')
      const { evaluatePerplexities, evaluateStages, openEvaluated, staged } = await import('@reallm/pipeline')
      const progress = progressOn(io)
      const { onProgress } = progress
      const work = staged(evaluateStages(options), { signal: io.signal, onProgress })
      const { adapter, device, threads, cache, protocol, windows } = options
      const others = options.against === undefined ? [] : [{ spec: options.against }]
      const rows = options.tokens === undefined ? undefined : parseTokens(contents, file)
      const positions = rows
        ? rows.reduce((most, { length }) => Math.max(most, length), 0)
        : windowLength(options, 0)
      const using = { ...work, device, threads, positions }
      const opened = await openEvaluated([{ spec, adapter }, ...others], using)
      try {
        const { engine } = opened
        const [model, against] = opened.models
        const ctx = windowLength(options, ...opened.models.map(({ weights }) => weights.config.maxPositions))
        const tokenizer = rows ? undefined : await model.weights.tokenizer()
        const tokens = rows ?? tokenizer!.encode(contents)
        const bos = tokenizer?.encode('', { special: true })[0]
        const [{ seconds, ...result }] = await evaluatePerplexities(
          { engine, models: [model], against },
          tokens,
          { ...work, protocol, ctx, windows, bos, cache },
        ).catch((error: unknown) =>
          explainNumeric(
            error,
            opened.models.map(({ weights }) => weights),
            work,
          ),
        )
        const more = { ...work, tokenizer, layers: options.layers, generation: options.generation }
        const checks = await furtherChecks(opened.models, tokens, more)
        progress.end()
        const { bytes } = model.weights.files
        const tokensPerSecond = result.tokensRead > 0 ? result.tokensRead / seconds : undefined
        const memory = process.resourceUsage().maxRSS * 1024
        const measured = { ...result, bytes, engine, tokensPerSecond, memory, ...checks }
        print(io, options, measured, () => evaluationText(measured, seconds))
      } finally {
        progress.end()
        await opened.close()
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
