import { packageDirectory, ReallmError } from '@reallm/tensor-io'
import { dirname, type Entry, entryAt, realPlace } from '#platform'

/** What a run reads, by what it is called (`model`, `data`): paths, `npm:` names, or others, which are left alone. */
export type Inputs = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * Refuses a path that is one of the inputs, or a directory with one of them in it, by way of links too.
 *
 * @throws `bad-option` naming both
 */
export async function refuseInputs(path: string, inputs: Inputs): Promise<void> {
  const target = await entryAt(path)
  if (!target) return
  for (const { what, input } of each(inputs)) {
    const depth = await depthIn(target, input)
    if (depth === undefined) continue
    const message = `${path} ${depth === 0 ? 'is' : 'holds'} the ${what} that is read (${input})`
    throw new ReallmError('bad-option', message, { hint: 'choose another output' })
  }
}

/**
 * Refuses a file that is one of the inputs or belongs to one that is a directory.
 *
 * @throws `bad-option` naming both
 */
export async function refuseInputFile(path: string, inputs: Inputs): Promise<void> {
  await refuseInputs(path, inputs)
  if (!(await entryAt(path))) return
  for (const { what, input } of each(inputs)) {
    const folder = await pathOf(input)
    const entry = folder === undefined ? undefined : await entryAt(folder)
    if (entry?.kind !== 'directory' || (await depthIn(entry, path)) === undefined) continue
    const message = `${path} belongs to the ${what} that is read (${input})`
    throw new ReallmError('bad-option', message, { hint: 'choose another output' })
  }
}

const each = (inputs: Inputs) =>
  Object.entries(inputs).flatMap(([what, paths]) => [paths ?? []].flat().map(input => ({ what, input })))

/** How many directories above an input the target is; undefined when it is none of them. */
async function depthIn(target: Entry, input: string): Promise<number | undefined> {
  const path = await pathOf(input)
  if (path === undefined) return undefined
  let at = await realPlace(path)
  for (let depth = 0; ; depth++) {
    if ((await entryAt(at))?.identity === target.identity) return depth
    const above = dirname(at)
    if (above === at) return undefined
    at = above
  }
}

/** Where an input lies, installed packages included; undefined for URLs, and for what its reader will refuse. */
async function pathOf(input: string): Promise<string | undefined> {
  try {
    const path = input.startsWith('npm:') ? await packageDirectory(input) : input
    return (await entryAt(path)) && path
  } catch {
    return undefined
  }
}
