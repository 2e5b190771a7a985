import { Command } from 'commander'
import { type Io, print, warningsOn } from '../io.ts'

interface Options {
  special?: boolean | undefined
  json?: boolean | undefined
}

/** `reallm tokenize <model> <text>` */
export const tokenizeCommand = (io: Io): Command =>
  new Command('tokenize')
    .description("Turn a text into the ids of a model's tokenizer.")
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .argument('<text>', 'the text, or - to read it from stdin')
    .option('--special', 'add the tokens that the model wants around a text (BOS)')
    .option('--json', '{"ids":[…]} on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm tokenize npm:@reallm/tiny "Call me Ishmael."
  $ reallm tokenize model.gguf - --json < book.txt > book.ids.json
`,
    )
    .action(async (spec: string, text: string, options: Options) => {
      const { openModel } = await import('@reallm/tensor-io')
      const { openTokenizer } = await import('@reallm/transformer')
      const model = await openModel(spec)
      try {
        const tokenizer = await openTokenizer(model, { onProgress: warningsOn(io) })
        const given = text === '-' ? await io.stdin() : text
        const ids = tokenizer.encode(given, { special: options.special ?? false })
        print(io, options, { ids }, () => `${ids.join(' ')}\n`)
      } finally {
        await model.close()
      }
    })
