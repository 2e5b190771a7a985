import { bytesText } from '@reallm/tensor-io'
import { Command, Option } from 'commander'
import { type Io, print, progressOn } from '../io.ts'

interface Options {
  output: string
  format?: 'safetensors' | 'gguf' | undefined
  dtype?: 'f32' | 'f16' | 'bf16' | 'q8_0' | undefined
  adapter?: string | undefined
  force?: boolean | undefined
  json?: boolean | undefined
}

/** `reallm convert <model> -o OUT` */
export const convertCommand = (io: Io): Command =>
  new Command('convert')
    .description('Write the decoded weights of any model as safetensors or GGUF, for other tools.')
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .requiredOption('-o, --output <path>', 'a directory, or a file that ends in .safetensors or .gguf')
    .addOption(
      new Option('--format <format>', 'default: by the ending of the output').choices([
        'safetensors',
        'gguf',
      ]),
    )
    .addOption(
      new Option('--dtype <dtype>', 'default: bf16 in safetensors, f16 in GGUF').choices([
        'f32',
        'f16',
        'bf16',
        'q8_0',
      ]),
    )
    .option('--adapter <dir>', 'merge a LoRA, rsLoRA or DoRA adapter (PEFT layout) into the weights')
    .option('--force', 'replace what an earlier run wrote to the output')
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm convert model.gguf -o model/                        a Hugging Face directory
  $ reallm convert out/ -o out.gguf --dtype q8_0               for llama.cpp
  $ reallm convert out/ --adapter my-adapter -o merged/ --dtype f16
`,
    )
    .action(async (spec: string, options: Options) => {
      const { convertModel } = await import('@reallm/pipeline')
      const { openAny } = await import('../open.ts')
      const progress = progressOn(io)
      const { onProgress } = progress
      const model = await openAny(spec, { adapter: options.adapter, onProgress })
      try {
        const result = await convertModel(model, {
          to: options.output,
          inputs: { adapter: options.adapter },
          signal: io.signal,
          onProgress,
          format: options.format,
          dtype: options.dtype,
          force: options.force,
        })
        progress.end()
        print(io, options, { output: options.output, ...result }, () =>
          [`${options.output}: ${bytesText(result.bytes)}`, ...result.lost, ''].join('\n'),
        )
      } finally {
        progress.end()
        await model.close()
      }
    })
