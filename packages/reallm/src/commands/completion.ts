import { Argument, Command } from 'commander'
import type { Io } from '../io.ts'

const shells = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof shells)[number]

/** `reallm completion <shell>` */
export const completionCommand = (io: Io, program: Command): Command =>
  new Command('completion')
    .description('Print a script that completes commands and options in your shell.')
    .addArgument(new Argument('<shell>', 'your shell').choices(shells))
    .addHelpText(
      'after',
      `
Examples:
  $ reallm completion bash >> ~/.bashrc
  $ reallm completion zsh >> ~/.zshrc
  $ reallm completion fish > ~/.config/fish/completions/reallm.fish
`,
    )
    .action((shell: Shell) => io.out(shell === 'fish' ? fish(program) : bash(program, shell)))

const namesOf = (commands: readonly Command[]): string => commands.map(command => command.name()).join(' ')

/** What may come after a command, separated by spaces. */
function wordsAfter({ options, registeredArguments }: Command): string {
  const choices = registeredArguments.flatMap(({ argChoices = [] }) => argChoices)
  const names = options.flatMap(({ long }) => (long === undefined ? [] : [long]))
  return [...choices, ...names, '--help'].join(' ')
}

/** zsh reads the script of bash by way of `bashcompinit`. */
function bash({ commands }: Command, shell: Shell): string {
  const cases = commands.map(command => `    ${command.name()}) words='${wordsAfter(command)}' ;;`)
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_reallm() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    help) words='${namesOf(commands)}' ;;
    *) words='' ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words='${namesOf(commands)} help'
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _reallm reallm
`
}

function fish({ commands }: Command): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "\\'")}'`
  const lines = commands.flatMap(command => [
    `complete -c reallm -n __fish_use_subcommand -a ${command.name()} -d ${quoted(command.description())}`,
    ...command.options
      .filter(({ long }) => long !== undefined)
      .map(
        ({ long, description }) =>
          `complete -c reallm -n '__fish_seen_subcommand_from ${command.name()}' -l ${long!.slice(2)} -d ${quoted(description)}`,
      ),
  ])
  lines.push(`complete -c reallm -n '__fish_seen_subcommand_from help' -a '${namesOf(commands)}'`)
  return `${lines.join('\n')}\n`
}
