import { Command, Option } from 'commander'
import { type Io, print, progressOn } from '../io.ts'
import { calibrationOption, parseWhole } from '../options.ts'

interface Options {
  output: string
  calib?: readonly string[] | undefined
  effort: 'fast' | 'normal' | 'best'
  seed: number
  force?: boolean | undefined
  backend?: 'native-gpu' | 'native' | 'webgpu' | 'wasm' | 'cpu' | undefined
  json?: boolean | undefined
}

/** `reallm imatrix <model> -o FILE.gguf` */
export const imatrixCommand = (io: Io): Command =>
  new Command('imatrix')
    .description("Measure a model's inputs on a text and write them as an importance matrix of llama.cpp.")
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .requiredOption('-o, --output <file>', 'file to write, .gguf')
    .addOption(calibrationOption())
    .addOption(
      new Option('--effort <effort>', 'how much text').choices(['fast', 'normal', 'best']).default('normal'),
    )
    .option('--seed <number>', 'same seed, same tokens, for a model without tokenizer', parseWhole(0), 0)
    .option('--force', 'replace what an earlier run wrote to the output')
    .addOption(
      new Option(
        '--backend <name>',
        'what computes (default: the fastest that `reallm doctor` finds)',
      ).choices(['native-gpu', 'native', 'webgpu', 'wasm', 'cpu']),
    )
    .option('--json', '{"tensors":…,"tokens":…} on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm imatrix model/ -o model.imatrix.gguf --calib mine.txt
  $ llama-quantize --imatrix model.imatrix.gguf model.gguf out.gguf Q4_K_M
  $ reallm compress model/ -o out.gguf --target gguf -b 4.5 --imatrix model.imatrix.gguf
`,
    )
    .action(async (spec: string, { output, calib, json, ...options }: Options) => {
      const { measureImatrix } = await import('@reallm/pipeline')
      const progress = progressOn(io)
      const { signal } = io
      const work = { signal, onProgress: progress.onProgress }
      try {
        const found = await measureImatrix(spec, { ...options, ...work, to: output, calibration: calib })
        progress.end()
        print(
          io,
          { json },
          found,
          () => `${output}: inputs of ${found.tensors} matrices, on ${found.tokens} tokens\n`,
        )
      } finally {
        progress.end()
      }
    })
