import { bytesText, counted, durationText } from '@reallm/tensor-io'
import { Command, Option } from 'commander'
import { type Io, print, progressOn, table } from '../io.ts'
import { calibrationOption, parseNumber, parseSize, parseWhole } from '../options.ts'

interface Options {
  output: string
  bits?: number | undefined
  targetSize?: number | undefined
  target: 'reallm' | 'gguf' | 'onnx'
  recipe?: string | undefined
  adapter?: string | undefined
  shardSize?: number | undefined
  blocksOnly?: boolean | undefined
  effort: 'fast' | 'normal' | 'best'
  calib?: readonly string[] | undefined
  imatrix?: string | undefined
  seed: number
  resume?: boolean | undefined
  force?: boolean | undefined
  dryRun?: boolean | undefined
  maxMemory?: number | undefined
  threads?: number | undefined
  backend?: 'native-gpu' | 'native' | 'webgpu' | 'wasm' | 'cpu' | undefined
  queue?: string | undefined
  shared?: string | undefined
  eval: boolean
  sequential: boolean
  tune?: number | undefined
  tuneSteps?: number | undefined
  json?: boolean | undefined
}

/** `reallm compress <model> -o OUT -b BITS` */
export const compressCommand = (io: Io): Command =>
  new Command('compress')
    .description(
      'Compress a model to a few bits per weight. Every stored weight counts: embeddings, head and norms too.',
    )
    .argument('<model>', 'directory, .gguf, artifact, hf:owner/name or npm:@scope/name')
    .requiredOption(
      '-o, --output <path>',
      'directory to write, new or empty; or a .gguf file with --target gguf',
    )
    .addOption(
      new Option('-b, --bits <number>', 'bits per weight, averaged over the whole model')
        .argParser(parseNumber(0.1, 16))
        .conflicts('targetSize'),
    )
    .option('--target-size <size>', 'size of the weight files instead, like 45MB', parseSize)
    .addOption(
      new Option(
        '--target <target>',
        'an artifact for reallm; gguf for llama.cpp, Ollama, LM Studio, wllama; onnx for transformers.js',
      )
        .choices(['reallm', 'gguf', 'onnx'])
        .default('reallm'),
    )
    .option(
      '--recipe <name>',
      'way of compressing (`reallm recipes` lists them; default: named like the target)',
    )
    .option('--adapter <dir>', 'merge a LoRA, rsLoRA or DoRA adapter (PEFT layout) into the weights first')
    .option('--shard-size <size>', 'write files of at most this size, like 2GB', parseSize)
    .addOption(
      new Option('--effort <effort>', 'how long to search')
        .choices(['fast', 'normal', 'best'])
        .default('normal'),
    )
    .option('--blocks-only', 'leave embedding and head as they are; -b then counts the blocks alone')
    .addOption(calibrationOption())
    .addOption(
      new Option(
        '--imatrix <file>',
        'importance matrix of llama.cpp (.gguf or .dat) to round by, instead of calibrating on a text',
      ).conflicts('calib'),
    )
    .option('--seed <number>', 'same seed and input, same bytes', parseWhole(0), 0)
    .option('--resume', 'continue a run that was stopped or killed')
    .option('--force', 'replace what an earlier run wrote to the output')
    .option('--dry-run', 'print the plan and write nothing')
    .option(
      '--max-memory <size>',
      'memory to keep to, like 2GB; refused where it is too little (default: 2GB, or the least that does)',
      parseSize,
    )
    .option(
      '--threads <number>',
      'worker threads; 0 works in the main one (default: one per core)',
      parseWhole(0),
    )
    .addOption(
      new Option(
        '--backend <name>',
        'what computes (default: the fastest that `reallm doctor` finds)',
      ).choices(['native-gpu', 'native', 'webgpu', 'wasm', 'cpu']),
    )
    .option('--queue <url>', 'send matrices to machines that run `reallm worker` on this Redis')
    .option('--shared <place>', 'directory that all of these machines see, or s3://bucket/prefix')
    .option('--no-sequential', 'round all matrices on the original model: faster on many workers, less exact')
    .addOption(
      new Option(
        '--tune <minutes>',
        'afterwards train scales and norms on the original’s predictions, for this long',
      )
        .argParser(parseNumber(0.1, 10_000))
        .conflicts('tuneSteps'),
    )
    .option(
      '--tune-steps <number>',
      'steps to train instead of minutes: same seed, same bytes',
      parseWhole(1),
    )
    .option('--no-eval', 'do not measure perplexity at the end')
    .option('--json', 'the report as one JSON object on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm compress npm:@reallm/tiny -o tiny-3 -b 3              3 bits per weight
  $ reallm compress model.gguf -o out --target-size 45MB         the least loss in 45 MB
  $ reallm compress hf:me/model -o out -b 2.5 --calib mine.txt   calibrated on your kind of text
  $ reallm compress model/ -o out -b 2 --dry-run                 which configuration each matrix would get
  $ reallm compress model/ -o out -b 2 --resume                  after Ctrl-C, a crash or a full disk
  $ reallm compress model/ -o out -b 3 --tune 60                 an hour of training after rounding, the same size
  $ reallm compress model/ -o out.gguf --target gguf -b 4.5      for llama.cpp, its own types by search
  $ reallm compress model/ -o out --target onnx -b 5             for transformers.js and ONNX Runtime

The output directory holds *.safetensors, config.json, the tokenizer, reallm-report.json, a report page with plots
and a model card; beside out.gguf lie out.reallm-report.json and its page. Work in progress is kept in <output>.work.
`,
    )
    .action(async (spec: string, options: Options) => {
      const { compress, planCompression } = await import('@reallm/pipeline')
      const { ReallmError } = await import('@reallm/tensor-io')
      if ((options.queue === undefined) !== (options.shared === undefined)) {
        throw new ReallmError('bad-option', '--queue and --shared belong together', {
          hint: '--queue redis://host:6379 --shared DIR, a directory that all machines see, or s3://bucket/prefix',
        })
      }
      const ending = /\.(gguf|onnx)$/.exec(options.output)?.[1]
      if (ending !== undefined && options.target !== ending) {
        throw new ReallmError(
          'bad-option',
          `${options.output}: the target is ${options.target}, the ending says ${ending}`,
          { hint: `add --target ${ending}, or name the output otherwise` },
        )
      }
      const progress = progressOn(io)
      const settings = {
        to: options.output,
        target: options.target,
        recipe: options.recipe,
        adapter: options.adapter,
        shardSize: options.shardSize,
        effort: options.effort,
        seed: options.seed,
        evaluate: options.eval,
        sequential: options.sequential,
        tune: tuneOf(options),
        signal: io.signal,
        onProgress: progress.onProgress,
        bits: options.bits,
        targetSize: options.targetSize,
        scope: options.blocksOnly ? ('blocks' as const) : undefined,
        calibration: options.calib,
        imatrix: options.imatrix,
        resume: options.resume,
        force: options.force,
        maxMemory: options.maxMemory,
        threads: options.threads,
        backend: options.backend,
        queue: options.queue === undefined ? undefined : { url: options.queue, shared: options.shared! },
      }
      try {
        if (options.dryRun) {
          const plan = await planCompression(spec, settings)
          progress.end()
          return print(io, options, plan, () => {
            const rows = plan.matrices.map(m => [m.name, m.codec, bytesText(m.bytes)])
            return `${table([['matrix', 'codec', 'size'], ...rows])}\n${plan.model}: ${bytesText(plan.originalBytes)} → ${bytesText(plan.bytes)}, ${plan.bitsPerWeight.toFixed(3)} bits per weight; compressing takes about ${bytesText(plan.memory)} of memory${plan.time ? `, and ${durationText(plan.time.seconds)} to quantise` : ''}\n`
          })
        }
        const report = await compress(spec, settings)
        progress.end()
        print(io, options, report, () => {
          const { quality, size: s } = report
          const perplexity =
            quality && !quality.random
              ? `perplexity ${quality.original.perplexity.toFixed(2)} → ${quality.compressed.perplexity.toFixed(2)}, `
              : ''
          const measured = quality
            ? `${perplexity}KL divergence ${quality.compressed.kl.toFixed(4)} (${quality.protocol})\n`
            : ''
          const written = report.generation
            ? `greedy text agrees with the original's for ${(100 * report.generation.agreement).toFixed(0)} % of a continuation and repeats ${(100 * report.generation.repetition.compressed).toFixed(0)} % of its 4-grams (the original ${(100 * report.generation.repetition.original).toFixed(0)} %)\n`
            : ''
          const { tuning } = report
          const tuned = tuning
            ? `trained for ${counted(tuning.steps, 'step')}: KL divergence ${tuning.before.toFixed(4)} → ${tuning.after.toFixed(4)} on held-out text\n`
            : ''
          return `${report.model}: ${bytesText(s.originalBytes)} → ${bytesText(s.bytes)}, ${s.bitsPerWeight.toFixed(3)} bits per weight\n${tuned}${measured}${written}${durationText(report.seconds)}, peak memory ${bytesText(report.peakMemory)}; the report is in ${reportPage(options.output)}\n`
        })
      } catch (error) {
        progress.end()
        if (io.signal.aborted || (error instanceof ReallmError && error.code === 'aborted')) {
          throw new ReallmError('aborted', 'stopped; what is finished is kept', {
            hint: 'continue with the same command and --resume',
            cause: error,
          })
        }
        throw error
      }
    })

const reportPage = (output: string) =>
  output.endsWith('.gguf') ? output.replace(/\.gguf$/, '.reallm-report.html') : `${output}/reallm-report.html`

function tuneOf({ tune, tuneSteps }: Options) {
  if (tuneSteps !== undefined) return { steps: tuneSteps }
  return tune === undefined ? undefined : { minutes: tune }
}
