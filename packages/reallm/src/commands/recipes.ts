import { Command } from 'commander'
import { type Io, print, table } from '../io.ts'

/** `reallm recipes` */
export const recipesCommand = (io: Io): Command =>
  new Command('recipes')
    .description('List the ways of compressing that `reallm compress --recipe` knows.')
    .option('--json', '[{"name":…, "what":…, "source":…}] on stdout')
    .addHelpText(
      'after',
      `
Examples:
  $ reallm recipes
  $ reallm compress npm:@reallm/tiny -o out -b 3 --recipe gptq
`,
    )
    .action(async (options: { json?: boolean | undefined }) => {
      const { recipes } = await import('@reallm/pipeline')
      const rows = recipes.map(({ name, what, source }) => ({ name, what, source }))
      print(io, options, rows, () =>
        table([['recipe', 'what it does', 'from'], ...rows.map(r => [r.name, r.what, r.source])]),
      )
    })
