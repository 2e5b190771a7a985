// usage: npm run nightly
// What takes hours: a million damaged files, fifty kills of every command, ten thousand generations. The last line is ok or FAULT.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

let faults = 0
for (const name of ['fuzz', 'faults', 'soak']) {
  console.log(`\n> ${name}`)
  const script = join(import.meta.dirname, `${name}.ts`)
  const flags = ['--conditions=@reallm/source', '--import', 'tsx', script]
  if (spawnSync(process.execPath, flags, { stdio: 'inherit' }).status !== 0) faults++
}
console.log(faults === 0 ? '\nok' : `\nFAULT in ${faults} of 3`)
process.exit(faults === 0 ? 0 : 1)
