import type { Command } from 'commander'

/** What names a file or a model. */
const naming = /<(file|dir|path|models?|artifact|adapter)(\.\.\.)?>/

/** Refuses a command line that names a file or a model by an empty text, as of a variable that is not set. */
export function refuseEmptyNames(command: Command): void {
  const options = command.options.map(option => [
    option.flags,
    command.getOptionValue(option.attributeName()),
  ])
  const given = command.registeredArguments.map((argument, i) => [
    `<${argument.name()}>`,
    command.processedArgs[i],
  ])
  for (const [what, value] of [...options, ...given]) {
    if (!naming.test(what) || ![value].flat().includes('')) continue
    command.error(`error: ${what} is empty; is a variable not set?`, { exitCode: 2 })
  }
}
