import { readFileSync } from 'node:fs'
import { ReallmError } from '@reallm/tensor-io'
import { Command, CommanderError } from 'commander'
import { benchCommand } from './commands/bench.ts'
import { chatCommand } from './commands/chat.ts'
import { compareCommand } from './commands/compare.ts'
import { compressCommand } from './commands/compress.ts'
import { convertCommand } from './commands/convert.ts'
import { doctorCommand } from './commands/doctor.ts'
import { evalCommand } from './commands/eval.ts'
import { finetuneCommand } from './commands/finetune.ts'
import { generateCommand } from './commands/generate.ts'
import { inspectCommand } from './commands/inspect.ts'
import { packCommand } from './commands/pack.ts'
import { planCommand } from './commands/plan.ts'
import { recipesCommand } from './commands/recipes.ts'
import { serveCommand } from './commands/serve.ts'
import { statusCommand } from './commands/status.ts'
import { tokenizeCommand } from './commands/tokenize.ts'
import { workerCommand } from './commands/worker.ts'
import type { Io } from './io.ts'

const commands = [
  inspectCommand,
  convertCommand,
  tokenizeCommand,
  evalCommand,
  compareCommand,
  planCommand,
  compressCommand,
  finetuneCommand,
  generateCommand,
  chatCommand,
  serveCommand,
  packCommand,
  workerCommand,
  statusCommand,
  recipesCommand,
  doctorCommand,
  benchCommand,
]

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

const examples = `
A <model> is a Hugging Face directory, a .gguf or .safetensors file, a compressed artifact, hf:owner/name, or
npm:@scope/name.

Examples:
  $ reallm inspect npm:@reallm/tiny                       what is in a model
  $ reallm compress npm:@reallm/tiny -o tiny-3 -b 3       compress it to 3 bits per weight
  $ reallm generate tiny-3 -p "The whale"                 let it write
  $ reallm eval tiny-3 --text held-out.txt --against npm:@reallm/tiny
  $ reallm doctor                                         what this machine offers
`

/**
 * Runs one command line and returns its exit code: 0 only on success, 2 for wrong usage, 130 when stopped, 1 otherwise.
 * Never throws.
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const program = new Command('reallm')
    .description('Compress, adapt and run language models at 2–4 bits per weight.')
    .version(version, '-v, --version')
    .option('--verbose', 'errors with their stacks')
    .addHelpText('after', examples)
  for (const create of commands) program.addCommand(create(io))
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({ writeOut: io.out, writeErr: io.err })
    if (command !== program) command.option('--verbose', 'errors with their stacks')
    command.showHelpAfterError(
      `(reallm ${command === program ? '' : `${command.name()} `}--help shows examples)`,
    )
  }
  io.verbose = args.includes('--verbose')
  try {
    await program.parseAsync(withAliases(args, program), { from: 'user' })
    return 0
  } catch (error) {
    return report(error, io)
  }
}

/** `-V` as in earlier versions; help on an unknown topic says that there is no such command. */
function withAliases(args: readonly string[], program: Command): string[] {
  const [first, topic] = args
  if (first === '-V') return ['--version']
  const isCommand = program.commands.some(command => command.name() === topic)
  return first === 'help' && topic !== undefined && !isCommand ? [topic] : [...args]
}

function report(error: unknown, io: Io): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const stopped = io.signal.aborted || (error instanceof ReallmError && error.code === 'aborted')
  io.err(`reallm: ${messageOf(error)}\n`)
  if (error instanceof ReallmError && error.hint) io.err(`  hint: ${error.hint}\n`)
  if (io.verbose && error instanceof Error) io.err(`${error.stack}\n`)
  return stopped ? 130 : 1
}

const systemErrors: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'no such file or directory',
  EISDIR: 'is a directory, not a file',
  ENOTDIR: 'is not a directory',
  EMFILE: 'too many open files',
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, path } = error as NodeJS.ErrnoException
  const known = code === undefined ? undefined : systemErrors[code]
  return known && !(error instanceof ReallmError) ? [path, known].filter(Boolean).join(': ') : error.message
}
