import { createProgram } from '../../packages/reallm/src/run.ts'

/** What every command of the command line says of itself with `--help`. */
export function cliReference(): string {
  let text = ''
  const program = createProgram({
    out: piece => void (text += piece),
    err: () => {},
    stdin: async () => '',
    async *lines() {},
    isTty: false,
    signal: new AbortController().signal,
    verbose: false,
  })
  return program.commands
    .map(command => {
      text = ''
      command.outputHelp()
      return `## ${command.name()}\n\n\`\`\`\n${text.trim()}\n\`\`\``
    })
    .join('\n\n')
}
