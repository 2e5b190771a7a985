import type { Device } from '@reallm/runtime'
import { Command } from 'commander'
import { type Io, printTexts } from '../io.ts'
import { deviceOption, parseWhole } from '../options.ts'

interface Options {
  count: number
  tokens: number
  seed: number
  system?: string | undefined
  device: Device
  threads?: number | undefined
}

/** `reallm converse <model>` */
export const converseCommand = (io: Io): Command =>
  new Command('converse')
    .description('Let a chat model ask itself questions and answer them: calibration text of its own kind.')
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .option('-c, --count <number>', 'conversations', parseWhole(1), 40)
    .option('-n, --tokens <number>', 'tokens of an answer at most', parseWhole(1), 220)
    .option('--seed <number>', 'same seed, same conversations', parseWhole(0), 0)
    .option('--system <text>', 'what the model is told before (default: what its chat template says)')
    .addOption(deviceOption())
    .option('--threads <number>', 'threads that compute (default: 1)', parseWhole(1))
    .addHelpText(
      'after',
      `
Examples:
  $ reallm converse model/ > chat.txt                     some minutes for a small model
  $ reallm converse model/ -c 200 --seed 1 > chat.txt     more, and others
  $ reallm compress model/ -o out -b 4 --calib chat.txt
`,
    )
    .action(async (spec: string, options: Options) => {
      const { converse } = await import('../converse.ts')
      await printTexts(io, work => converse(spec, { ...options, ...work }))
    })
