import { writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { bytesText } from '@reallm/tensor-io'
import { Command, Option } from 'commander'
import { type Io, print, progressOn, table } from '../io.ts'
import { calibrationOption, parseWhole } from '../options.ts'
import { asciiPlot } from '../plot.ts'

interface Options {
  recipe: string
  effort: 'fast' | 'normal' | 'best'
  calib?: readonly string[] | undefined
  seed: number
  svg?: string | undefined
  json?: boolean | undefined
}

/** `reallm plan <model>` */
export const planCommand = (io: Io): Command =>
  new Command('plan')
    .description('Predict what each size would lose in quality before any long work: the frontier.')
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .option('--recipe <name>', 'way of compressing (`reallm recipes` lists them)', 'reallm')
    .addOption(
      new Option('--effort <effort>', 'how much text sensitivity is measured on')
        .choices(['fast', 'normal', 'best'])
        .default('normal'),
    )
    .addOption(calibrationOption())
    .option('--seed <number>', 'same seed and input, same plan', parseWhole(0), 0)
    .option('--svg <file>', 'write the plot as SVG')
    .option('--json', 'one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm plan npm:@reallm/tiny
  $ reallm plan model.gguf --effort fast             in less time
  $ reallm plan model/ --calib mine.txt --svg frontier.svg

Measurements are kept: neither planning again nor compressing repeats them, for any size, with the same model, recipe,
effort, calibration and seed.
`,
    )
    .action(async (spec: string, options: Options) => {
      const { frontierSvg, planFrontier, writeOutput } = await import('@reallm/pipeline')
      const progress = progressOn(io)
      const planned = () =>
        planFrontier(spec, {
          recipe: options.recipe,
          effort: options.effort,
          seed: options.seed,
          signal: io.signal,
          onProgress: progress.onProgress,
          calibration: options.calib,
        })
      const drawn = (svg: string) => {
        const inputs = { model: spec, calibration: options.calib }
        const output = { program: 'reallm plan', inputs, file: {}, force: true }
        return writeOutput(svg, output, async (folder, place) => {
          const plan = await planned()
          await writeFile(join(folder, basename(place)), frontierSvg(plan.frontier))
          return plan
        })
      }
      try {
        const plan = await (options.svg === undefined ? planned() : drawn(options.svg))
        progress.end()
        print(io, options, plan, () => {
          const every = Math.max(1, Math.ceil(plan.frontier.length / 16))
          const shown = plan.frontier.filter((_, i) => i % every === 0 || i === plan.frontier.length - 1)
          const rows = shown.map(p => [
            bytesText(p.bytes),
            p.bitsPerWeight.toFixed(2),
            p.predicted.toPrecision(3),
          ])
          const points = plan.frontier.map(p => ({ x: p.bytes / 1e6, y: p.predicted }))
          return [
            `${plan.model}: ${bytesText(plan.originalBytes)}, ${plan.parameters.toLocaleString('en')} weights, recipe ${plan.recipe}\n\n`,
            table([['size', 'bits', plan.unit], ...rows]),
            `\n${plan.unit} (logarithmic) against MB\n${asciiPlot(points)}`,
          ].join('')
        })
      } finally {
        progress.end()
      }
    })
