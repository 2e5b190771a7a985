import type { Device } from '@reallm/runtime'
import { ReallmError } from '@reallm/tensor-io'
import { Command } from 'commander'
import { contextFull, type Io, print, warningsOn } from '../io.ts'
import { publicKeyOption, readKey } from '../key-file.ts'
import { deviceOption, parseNumber, parseProbability, parseVariable, parseWhole } from '../options.ts'

interface Options {
  prompt: string
  tokens: number
  temperature: number
  topK?: number | undefined
  topP?: number | undefined
  seed: number
  stop?: string[] | undefined
  chat?: boolean | undefined
  template?: string | undefined
  templateArg?: Record<string, unknown> | undefined
  adapter?: string | undefined
  publicKey?: string | undefined
  device: Device
  threads?: number | undefined
  json?: boolean | undefined
}

/** `reallm generate <model> -p PROMPT` */
export const generateCommand = (io: Io): Command =>
  new Command('generate')
    .description('Continue a text.')
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .requiredOption('-p, --prompt <text>', 'what to continue, or - to read it from stdin')
    .option('-n, --tokens <number>', 'tokens to generate at most', parseWhole(1), 64)
    .option(
      '--temperature <number>',
      '0 takes the likeliest token, 1 samples as the model predicts',
      parseNumber(0, 10),
      0,
    )
    .option('--top-k <number>', 'sample among the k likeliest tokens', parseWhole(1))
    .option(
      '--top-p <number>',
      'sample among the likeliest tokens that together have this probability',
      parseProbability,
    )
    .option('--seed <number>', 'same seed, same text', parseWhole(0), 0)
    .option('--stop <text...>', 'end where one of these texts comes')
    .option('--chat', 'answer the prompt, put into the chat template of the model, instead of continuing it')
    .option('--template <name>', 'with --chat: which of several chat templates')
    .option(
      '--template-arg <name=value>',
      'with --chat: a variable of the chat template; may be repeated',
      parseVariable,
    )
    .option('--adapter <dir>', 'LoRA, rsLoRA or DoRA adapter in PEFT layout')
    .option(...publicKeyOption)
    .addOption(deviceOption())
    .option('--threads <number>', 'threads that compute (default: 1)', parseWhole(1))
    .option('--json', '{"text":…, "reason": "end" | "stop" | "length" | "context"} on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm generate npm:@reallm/tiny -p "The white whale"
  $ reallm generate out/ -p "Dear Sir," -n 200 --temperature 0.8 --seed 7
  $ reallm generate out/ -p - --json < prompt.txt
  $ reallm generate out/ -p "What is a whale?" --chat --template-arg enable_thinking=false
`,
    )
    .action(async (spec: string, options: Options) => {
      if (options.temperature === 0 && (options.topK !== undefined || options.topP !== undefined)) {
        io.err('warning: --top-k and --top-p have no effect at --temperature 0\n')
      }
      const { load } = await import('../load.ts')
      const model = await load(spec, {
        signal: io.signal,
        onProgress: warningsOn(io),
        adapter: options.adapter,
        publicKey: await readKey(options.publicKey),
        device: options.device,
        threads: options.threads,
      })
      try {
        const prompt = options.prompt === '-' ? await io.stdin() : options.prompt
        let text = ''
        const settings = {
          maxTokens: options.tokens,
          temperature: options.temperature,
          seed: options.seed,
          signal: io.signal,
          topK: options.topK,
          topP: options.topP,
          stop: options.stop,
        }
        const { template, templateArg: variables } = options
        if (!options.chat && (template !== undefined || variables !== undefined)) {
          throw new ReallmError('bad-option', '--template and --template-arg are about the chat template', {
            hint: 'add --chat to put the prompt into it',
          })
        }
        const pieces = options.chat
          ? model.chat(undefined, { template, variables }).send(prompt, settings)
          : model.generate(prompt, settings)
        for await (const piece of pieces) {
          text += piece
          if (!options.json) io.out(piece)
        }
        const { reason, tokens } = pieces.report
        print(io, options, { text, reason }, () => '\n')
        if (reason === 'context') io.err(contextFull(tokens.length, model.config.maxPositions))
      } finally {
        model.dispose()
      }
    })
