import { ReallmError } from '@reallm/tensor-io'
import { dirname, type Entry, entryAt, realPlace } from '#platform'

/** What a run reads, by what it is called (`model`, `data`): paths, or names of other kinds, which are left alone. */
export type Inputs = Readonly<Record<string, string | undefined>>

/**
 * Refuses a path that is one of the inputs, or a directory with one of them in it, by way of links too.
 *
 * @throws `bad-option` naming both
 */
export async function refuseInputs(path: string, inputs: Inputs): Promise<void> {
  const target = await entryAt(path)
  if (!target) return
  for (const [what, input] of Object.entries(inputs)) {
    const depth = input === undefined ? undefined : await depthIn(target, input)
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
  for (const [what, input] of Object.entries(inputs)) {
    const folder = input === undefined ? undefined : await inputAt(input)
    if (folder?.kind !== 'directory' || (await depthIn(folder, path)) === undefined) continue
    const message = `${path} belongs to the ${what} that is read (${input})`
    throw new ReallmError('bad-option', message, { hint: 'choose another output' })
  }
}

/** How many directories above `path` the target is; undefined when it is none of them. */
async function depthIn(target: Entry, path: string): Promise<number | undefined> {
  if (!(await inputAt(path))) return undefined
  let at = await realPlace(path)
  for (let depth = 0; ; depth++) {
    if ((await entryAt(at))?.identity === target.identity) return depth
    const above = dirname(at)
    if (above === at) return undefined
    at = above
  }
}

/** Names of packages, hubs and URLs are no paths; what cannot be looked at, its reader will refuse. */
const inputAt = (path: string): Promise<Entry | undefined> => entryAt(path).catch(() => undefined)
