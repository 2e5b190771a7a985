import type { Device } from '@reallm/runtime'
import { Command } from 'commander'
import { type Io, printTexts } from '../io.ts'
import { deviceOption, parseWhole } from '../options.ts'

interface Options {
  count: number
  tokens: number
  seed: number
  device: Device
  threads?: number | undefined
}

/** `reallm write <model>` */
export const writeCommand = (io: Io): Command =>
  new Command('write')
    .description(
      'Let a model write texts of any kind: calibration text beside yours, so that it keeps the rest of what it knows.',
    )
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .option('-c, --count <number>', 'texts', parseWhole(1), 50)
    .option('-n, --tokens <number>', 'tokens of a text at most', parseWhole(1), 384)
    .option('--seed <number>', 'same seed, same texts', parseWhole(0), 0)
    .addOption(deviceOption())
    .option('--threads <number>', 'threads that compute (default: 1)', parseWhole(1))
    .addHelpText(
      'after',
      `
Examples:
  $ reallm write model/ > own.txt                         some minutes for a small model
  $ reallm compress model/ -o out -b 4 --calib mine.txt --calib own.txt     calibrated on both alike
`,
    )
    .action(async (spec: string, options: Options) => {
      const { write } = await import('../write.ts')
      await printTexts(io, work => write(spec, { ...options, ...work }), '\n\n')
    })
