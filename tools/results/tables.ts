import { answersTable } from './answers-table.ts'
import { cliReference } from './cli-reference.ts'
import { embeddedTable } from './embedded-table.ts'
import { familiesTable } from './families-table.ts'
import { ggufMargins, wideGgufMargins } from './gguf-files.ts'
import { modelsTable } from './models-table.ts'

/** Tables that are made of the code itself, by their names in pages. */
export const tables: Readonly<Record<string, () => string>> = {
  answers: answersTable,
  cli: cliReference,
  embedded: embeddedTable,
  families: familiesTable,
  'gguf-margins': ggufMargins,
  'gguf-margins-wide': wideGgufMargins,
  models: modelsTable,
}
