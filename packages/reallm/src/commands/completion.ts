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

const optionsOf = (command: Command): string[] =>
  command.options.flatMap(({ long }) => (long === undefined ? [] : [long]))

/** zsh reads the script of bash by way of `bashcompinit`. */
function bash({ commands }: Command, shell: Shell): string {
  const cases = commands.map(
    command => `    ${command.name()}) words='${[...optionsOf(command), '--help'].join(' ')}' ;;`,
  )
  return `${shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : ''}_reallm() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words='' ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words='${commands.map(command => command.name()).join(' ')} help'
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
  return `${lines.join('\n')}\n`
}
