import { readFileSync } from 'node:fs'
import { ReallmError } from '@reallm/tensor-io'
import { Command, CommanderError } from 'commander'
import { benchCommand } from './commands/bench.ts'
import { chatCommand } from './commands/chat.ts'
import { compareCommand } from './commands/compare.ts'
import { completionCommand } from './commands/completion.ts'
import { compressCommand } from './commands/compress.ts'
import { converseCommand } from './commands/converse.ts'
import { convertCommand } from './commands/convert.ts'
import { doctorCommand } from './commands/doctor.ts'
import { evalCommand } from './commands/eval.ts'
import { finetuneCommand } from './commands/finetune.ts'
import { generateCommand } from './commands/generate.ts'
import { imatrixCommand } from './commands/imatrix.ts'
import { inspectCommand } from './commands/inspect.ts'
import { packCommand } from './commands/pack.ts'
import { planCommand } from './commands/plan.ts'
import { recipesCommand } from './commands/recipes.ts'
import { serveCommand } from './commands/serve.ts'
import { statusCommand } from './commands/status.ts'
import { tokenizeCommand } from './commands/tokenize.ts'
import { workerCommand } from './commands/worker.ts'
import { writeCommand } from './commands/write.ts'
import { refuseEmptyNames } from './empty-names.ts'
import { fitted } from './fitted.ts'
import type { Io } from './io.ts'

const commands = [
  inspectCommand,
  convertCommand,
  tokenizeCommand,
  evalCommand,
  compareCommand,
  planCommand,
  compressCommand,
  converseCommand,
  writeCommand,
  imatrixCommand,
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
 * Runs one command line and returns its exit code: 0 only on success, 2 for a command line that cannot be read,
 * 130 when stopped, 1 otherwise.
 * Never throws.
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const program = createProgram(io)
  io.verbose = args.includes('--verbose')
  io.quiet = args.includes('--quiet')
  try {
    await program.parseAsync(withAliases(args, program), { from: 'user' })
    return 0
  } catch (error) {
    return report(error, io)
  }
}

/** All commands, not run yet. */
export function createProgram(io: Io): Command {
  const program = new Command('reallm')
    .description('Compress, adapt and run language models at 2–4 bits per weight.')
    .version(version, '-v, --version')
    .option('--verbose', 'errors with their stacks')
    .addHelpText('after', examples)
  for (const create of commands) program.addCommand(create(io))
  program.hook('preAction', (_, command) => refuseEmptyNames(command))
  program.addCommand(completionCommand(io, program))
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .configureHelp({ minWidthToWrap: 20 })
      .configureOutput({
        writeOut: text => io.out(fitted(text, io.outColumns)),
        writeErr: io.err,
        outputError: (text, write) =>
          write((/required option/.test(text) ? missingArgument(command) : otherName(text, command)) ?? text),
      })
    if (command !== program)
      command.option('--quiet', 'no progress').option('--verbose', 'errors with their stacks')
    command.showHelpAfterError(
      `(reallm ${command === program ? '' : `${command.name()} `}--help shows examples)`,
    )
  }
  return program
}

/** What is missing is said before options that are missing too; undefined where no argument is. */
function missingArgument(command: Command): string | undefined {
  const missing = command.registeredArguments[command.args.length]
  return missing?.required ? `error: missing required argument '${missing.name()}'\n` : undefined
}

/** An option that other programs call otherwise, with its name here; undefined for any other error. */
function otherName(text: string, { options }: Command): string | undefined {
  const isTokens =
    /unknown option '--max-(new-)?tokens/.test(text) && options.some(({ short }) => short === '-n')
  return isTokens ? `${text.split('\n')[0]}\n(Did you mean --tokens?)\n` : undefined
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
  const hint = error instanceof ReallmError ? error.hint : systemErrorOf(error)?.hint
  if (hint) io.err(`  hint: ${hint}\n`)
  if (io.verbose && error instanceof Error) io.err(`${error.stack}\n`)
  return stopped ? 130 : 1
}

/** What the file system refuses, and what helps. */
const systemErrors: Record<string, { readonly message: string; readonly hint?: string }> = {
  ENOSPC: { message: 'the disk is full', hint: 'free some space, then repeat the command' },
  EDQUOT: { message: 'the quota is used up', hint: 'free some space, then repeat the command' },
  EACCES: { message: 'permission denied', hint: 'choose another place, or change who may use this one' },
  EROFS: { message: 'the file system is read-only', hint: 'choose another place' },
  ENOENT: { message: 'no such file or directory', hint: 'was it deleted or moved meanwhile?' },
  EISDIR: { message: 'is a directory, not a file' },
  ENOTDIR: { message: 'is not a directory' },
  EMFILE: { message: 'too many open files', hint: 'raise the limit of open files (ulimit -n)' },
}

const systemErrorOf = (error: unknown) => systemErrors[(error as NodeJS.ErrnoException | null)?.code ?? '']

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const known = error instanceof ReallmError ? undefined : systemErrorOf(error)
  return known
    ? [(error as NodeJS.ErrnoException).path, known.message].filter(Boolean).join(': ')
    : error.message
}
