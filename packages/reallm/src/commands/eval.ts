import { readFile } from 'node:fs/promises'
import { bytesText } from '@reallm/tensor-io'
import { Command, Option } from 'commander'
import { type Io, print, progressOn } from '../io.ts'
import { parseTokens, parseWhole } from '../options.ts'

interface Options {
  text?: string | undefined
  tokens?: string | undefined
  protocol: 'half' | 'strided' | 'full'
  ctx: number
  windows?: number | undefined
  against?: string | undefined
  adapter?: string | undefined
  json?: boolean | undefined
}

/** `reallm eval <model> --text FILE` */
export const evalCommand = (io: Io): Command =>
  new Command('eval')
    .description('Measure perplexity on a text, and how far a model is from its original.')
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .addOption(
      new Option('--text <file>', 'text to predict, tokenised once as a whole, without BOS').conflicts(
        'tokens',
      ),
    )
    .option(
      '--tokens <file>',
      '[[id, …], …]: every row one window, all positions after the first scored; no tokenizer needed',
    )
    .addOption(
      new Option(
        '--protocol <name>',
        'half: windows side by side, second half of each scored; strided: overlapping windows, every token scored once; full: all positions after the first',
      )
        .choices(['half', 'strided', 'full'])
        .default('half'),
    )
    .option('--ctx <tokens>', 'tokens of a window', parseWhole(2), 512)
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
`,
    )
    .action(async (spec: string, options: Options) => {
      const { ReallmError, textOf } = await import('@reallm/tensor-io')
      const { perplexity } = await import('@reallm/eval')
      const { streamed, useBackend } = await import('@reallm/transformer')
      const { openAny } = await import('../open.ts')
      const file = options.tokens ?? options.text
      if (file === undefined) {
        throw new ReallmError('bad-option', 'nothing to predict', {
          hint: 'give --text FILE or --tokens FILE.json',
        })
      }
      const contents = textOf(file, await readFile(file))
      const progress = progressOn(io)
      const { onProgress } = progress
      const model = await openAny(spec, { adapter: options.adapter, onProgress })
      const against =
        options.against === undefined ? undefined : await openAny(options.against, { onProgress })
      try {
        const tokens = options.tokens
          ? parseTokens(contents, file)
          : (await model.tokenizer()).encode(contents)
        await useBackend()
        const { seconds, ...result } = await perplexity(streamed(model), tokens, {
          protocol: options.protocol,
          ctx: options.ctx,
          signal: io.signal,
          onProgress,
          windows: options.windows,
          against: against && streamed(against),
        })
        progress.end()
        const measured = { ...result, bytes: model.files.bytes }
        print(io, options, measured, () => {
          const compared =
            against && measured.kl !== undefined
              ? `KL divergence ${measured.kl.toFixed(5)} nats per token, same likeliest token ${(100 * measured.top1!).toFixed(1)} %\n`
              : ''
          return `perplexity ${measured.perplexity.toFixed(4)}, loss ${measured.loss.toFixed(5)} nats over ${measured.tokens} tokens in ${measured.windows} windows (${bytesText(measured.bytes)}, ${seconds.toFixed(1)} s)\n${compared}`
        })
      } finally {
        progress.end()
        await model.close()
        await against?.close()
      }
    })
