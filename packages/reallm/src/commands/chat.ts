import type { Device } from '@reallm/runtime'
import { Command } from 'commander'
import { contextFull, type Io, warningsOn } from '../io.ts'
import { publicKeyOption, readKey } from '../key-file.ts'
import { deviceOption, parseNumber, parseVariable, parseWhole } from '../options.ts'

interface Options {
  tokens: number
  temperature: number
  seed: number
  system?: string | undefined
  template?: string | undefined
  templateArg?: Record<string, unknown> | undefined
  adapter?: string | undefined
  publicKey?: string | undefined
  device: Device
  threads?: number | undefined
}

/** `reallm chat <model>` */
export const chatCommand = (io: Io): Command =>
  new Command('chat')
    .description('Talk with a model that has a chat template. An empty line or Ctrl-D ends it.')
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .option('-n, --tokens <number>', 'tokens of an answer at most', parseWhole(1), 256)
    .option('--temperature <number>', '0 takes the likeliest token', parseNumber(0, 10), 0.7)
    .option('--seed <number>', 'same seed, same answers', parseWhole(0), 0)
    .option('--system <text>', 'what the model is told first')
    .option('--template <name>', 'which of several chat templates')
    .option('--template-arg <name=value>', 'a variable of the chat template; may be repeated', parseVariable)
    .option('--adapter <dir>', 'LoRA, rsLoRA or DoRA adapter in PEFT layout')
    .option(...publicKeyOption)
    .addOption(deviceOption())
    .option('--threads <number>', 'threads that compute (default: 1)', parseWhole(1))
    .addHelpText(
      'after',
      `
Examples:
  $ reallm chat out/
  $ reallm chat hf:HuggingFaceTB/SmolLM2-135M-Instruct --system "Answer in one sentence."
  $ reallm chat hf:Qwen/Qwen3-0.6B --template-arg enable_thinking=false
  $ echo "What is a whale?" | reallm chat out/
`,
    )
    .action(async (spec: string, options: Options) => {
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
        const { template, templateArg: variables } = options
        const chat = model.chat(options.system, { template, variables })
        const settings = {
          maxTokens: options.tokens,
          temperature: options.temperature,
          seed: options.seed,
          signal: io.signal,
        }
        io.err('> ')
        for await (const line of io.lines()) {
          if (line.trim() === '') break
          const answer = chat.send(line, settings)
          for await (const piece of answer) io.out(piece)
          io.out('\n')
          const { reason, tokens } = answer.report
          if (reason === 'context') io.err(contextFull(tokens.length, model.config.maxPositions))
          io.err('> ')
        }
      } finally {
        model.dispose()
      }
    })
