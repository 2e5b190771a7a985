// usage: npx tsx --conditions=@reallm/source tools/nightly/faults.ts [kills=50] [commands] [fault] [at a time] [--record]
// Kills every writing command at so many of its changes to the file system, a third of them again while it goes on; fills its
// disk, makes it read-only, deletes its output and changes its model on the way. Runs the built packages (npm run build).
import { rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { afterFaults, type Outcome, untouched } from '../faults/check.ts'
import { commands, type FaultCommand, faultFolder } from '../faults/commands.ts'
import { compression, packages, startBench } from '../results/record.ts'

const [kills = '50', only = 'all', onlyFault = 'all', atATime = String(availableParallelism())] =
  process.argv.slice(2)
const tried = { unit: 'tries' }
const record = startBench({
  name: 'faults',
  what: 'Commands that were interrupted at one of their changes to the file system, spread over all of them, and then gone on with.',
  sources: [...compression, ...packages('reallm'), 'tools/faults'],
  columns: {
    command: { label: 'command' },
    fault: { label: 'what happens' },
    tries: { label: 'tries', ...tried },
    survived: { label: 'the same files in the end', ...tried },
    lost: { label: 'to be begun anew', ...tried },
    wrong: { label: 'wrong', ...tried },
  },
  key: ['command', 'fault'],
  seed: 0,
})

/**
 * `count` changes spread evenly over all, the first and the last ones among them: there are the look whether the place can be
 * written, the final rename and the removal.
 */
function spread(changes: number, count: number): number[] {
  const ends = Math.min(changes, Math.ceil(count / 5))
  const at = Array.from({ length: count - ends }, (_, i) => {
    const even = Math.round(((i + 1) * (changes - ends)) / (count - ends))
    return i < count / 10 ? i + 1 : Math.max(1, even)
  })
  return [...at, ...Array.from({ length: ends }, (_, i) => changes - ends + i + 1)]
}

const first = await faultFolder()
const others = Array.from({ length: Number(atATime) - 1 }, () => faultFolder(first))
const folders = [first, ...(await Promise.all(others))]

/** How a command comes through each of several tries, as many at a time as there are folders. */
async function outcomes(
  command: FaultCommand,
  wanted: Awaited<ReturnType<typeof untouched>>,
  tries: readonly (readonly string[])[],
): Promise<Outcome[]> {
  const left = [...tries]
  const found: Outcome[] = []
  await Promise.all(
    folders.map(async at => {
      for (let faults = left.shift(); faults; faults = left.shift()) {
        found.push(await afterFaults(at, command, wanted, faults))
      }
    }),
  )
  return found
}

for (const command of commands) {
  if (only !== 'all' && !only.split(', ').includes(command.name)) continue
  const wanted = await untouched(first, command)
  const killed = spread(wanted.changes, Number(kills))
  const few = spread(wanted.changes, Math.ceil(Number(kills) / 5))
  const tries = {
    killed: killed.map((n, i) =>
      i % 3 === 2 ? [`kill@${n}`, `kill@${killed[(7 * i) % killed.length]}`] : [`kill@${n}`],
    ),
    'full disk': few.map(n => [`full@${n}`]),
    'read-only disk': few.map(n => [`read-only@${n}`]),
    'output deleted': few.map(n => [`gone@${n}`]),
    'model changed': few.map(n => [`changed@${n}`]),
  }
  for (const [fault, all] of Object.entries(tries)) {
    if (onlyFault !== 'all' && fault !== onlyFault) continue
    const ends = { survived: 0, lost: 0, wrong: 0 }
    for (const { end, why } of await outcomes(command, wanted, all)) {
      ends[end]++
      if (why) console.log(`  ${why}`)
    }
    console.log(`${ends.wrong > 0 ? 'FAULT' : 'ok'} ${command.name}, ${fault}:`)
    record([{ command: command.name, fault, tries: all.length, ...ends }])
    if (ends.wrong > 0) process.exitCode = 1
  }
}
for (const { folder } of folders) await rm(folder, { recursive: true, force: true })
