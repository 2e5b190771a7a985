// usage: npx tsx --conditions=@reallm/source tools/nightly/faults.ts [kills=50] [command]
// Kills every writing command at so many of its changes to the file system, a third of them again while it goes on; fills its
// disk, makes it read-only and deletes its output on the way. Runs the built packages (npm run build).
import { rm } from 'node:fs/promises'
import { afterFaults, untouched } from '../faults/check.ts'
import { commands, faultFolder } from '../faults/commands.ts'

const [kills = '50', only] = process.argv.slice(2)
const at = await faultFolder()

/** `count` changes spread evenly over all, the last ones among them: there are the final rename and the removal. */
const spread = (changes: number, count: number) => [
  ...new Set(Array.from({ length: count }, (_, i) => Math.max(1, Math.round(((i + 1) * changes) / count)))),
]

for (const command of commands) {
  if (only !== undefined && command.name !== only) continue
  const wanted = await untouched(at, command)
  const at50 = spread(wanted.changes, Number(kills))
  const few = spread(wanted.changes, Math.ceil(Number(kills) / 5))
  const tries = {
    killed: at50.map((n, i) =>
      i % 3 === 2 ? [`kill@${n}`, `kill@${at50[(7 * i) % at50.length]}`] : [`kill@${n}`],
    ),
    'full disk': few.map(n => [`full@${n}`]),
    'read-only disk': few.map(n => [`read-only@${n}`]),
    'output deleted': few.map(n => [`gone@${n}`]),
  }
  for (const [what, all] of Object.entries(tries)) {
    const wrong: string[] = []
    for (const faults of all) {
      const found = await afterFaults(at, command, wanted, faults)
      if (found !== undefined) wrong.push(found)
    }
    console.log(
      `${wrong.length > 0 ? 'FAULT' : 'ok'} ${command.name}, ${what}: ${all.length} tries, ${wrong.length} wrong`,
    )
    for (const each of wrong) console.log(`  ${each}`)
    if (wrong.length > 0) process.exitCode = 1
  }
}
await rm(at.folder, { recursive: true, force: true })
