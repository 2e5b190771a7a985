import { readdir } from 'node:fs/promises'
import type { FaultCommand, faultFolder } from './commands.ts'

type Folder = Awaited<ReturnType<typeof faultFolder>>

/** What an untouched run writes, and in how many changes. */
export async function untouched(at: Folder, command: FaultCommand) {
  const ended = await at.run(command.args(at.models, await at.fresh()))
  if (ended.end !== 0) throw new Error(`${command.name}: ${ended.err}`)
  return { contents: await at.contents(command), changes: ended.changes }
}

type Untouched = Awaited<ReturnType<typeof untouched>>

const same = (a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>) =>
  a.size === b.size && [...a].every(([name, contents]) => b.get(name) === contents)

/** Whether a directory with `config.json`, which is taken for a model, holds all of it. */
function isWholeOrNone(now: ReadonlyMap<string, string>, wanted: Untouched['contents']): boolean {
  const head = [...wanted.keys()].find(name => name.endsWith('/config.json')) ?? [...wanted.keys()][0]
  return !now.has(head) || same(now, wanted)
}

/** How a command came through faults. */
export interface Outcome {
  /**
   * `survived`: gone on with, it ended in the files of an untouched run. `lost`: its output was deleted on the way, and it says that
   * what is left has to be deleted too.
   */
  readonly end: 'survived' | 'lost' | 'wrong'
  readonly why?: string
}

const wrong = (why: string): Outcome => ({ end: 'wrong', why })

/** Runs a command with a fault, possibly with another one while it goes on, then to its end. */
export async function afterFaults(
  at: Folder,
  command: FaultCommand,
  wanted: Untouched,
  faults: readonly string[],
): Promise<Outcome> {
  const args = command.args(at.models, await at.fresh())
  for (const [i, fault] of faults.entries()) {
    const { end, err } = await at.run(i === 0 ? args : [...args, command.again], fault)
    const now = await at.contents(command)
    if (!isWholeOrNone(now, wanted.contents)) return wrong(`${fault}: half a result`)
    if (fault.startsWith('kill') || end === 0) continue
    const said = /^reallm: (.*)$/m.exec(err)?.[1] ?? err
    // a path, or what of the model is damaged
    const named = /\/|\.weight \[/.test(said) && / {2}hint: /.test(err)
    if (end !== 1 || !named) return wrong(`${fault}: it ends with ${end} and says: ${err.slice(-300)}`)
    if (fault.startsWith('changed') && now.size > 0) return wrong(`${fault}: it fails and leaves a result`)
  }
  await at.restore()
  const last = await at.run([...args, command.again])
  // what is left of a directory that was deleted on the way is its owner's to remove, and is said to be
  const wasDeleted = faults.some(fault => fault.startsWith('gone'))
  if (wasDeleted && last.end === 1 && / {2}hint: .*delete that directory/.test(last.err))
    return { end: 'lost' }
  if (last.end !== 0) return wrong(`${faults}: goes on with ${last.end}: ${last.err.slice(-300)}`)
  if (!same(await at.contents(command), wanted.contents)) return wrong(`${faults}: another result`)
  const left = (await readdir(at.outputs)).filter(name => /\.work|\.removed|\.partial/.test(name))
  return left.length > 0 ? wrong(`${faults}: leaves ${left}`) : { end: 'survived' }
}
