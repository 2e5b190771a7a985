import { ReallmError } from '@reallm/tensor-io'
import { basename, dirname, type Entry, entryAt, join, readdir, realPlace } from '#platform'
import { isUnchanged, type Marker, readMarker } from './marker.ts'
import { nearestFolder, placeError, probe } from './probe.ts'
import { type Landing, pathsIn } from './publish.ts'

/** A place as it is found. */
export interface Place extends Landing {
  /** The directory or file, links resolved. */
  readonly place: string
  /** The names to be written: of a file and of what goes beside it; undefined for a directory. */
  readonly names: readonly string[] | undefined
}

export interface LookOptions {
  readonly file?: { readonly beside?: readonly string[] } | undefined
  readonly bytes?: number
}

/**
 * Resolves the links of an output and tries to write there.
 *
 * @throws `bad-option` for a file where a directory is wanted and the other way round; `io` when it cannot be written
 */
export async function lookAt(to: string, { file, bytes = 0 }: LookOptions): Promise<Place> {
  try {
    const place = await realPlace(to)
    const found = await entryAt(place)
    const wanted = file ? 'file' : 'directory'
    if (found && found.kind !== wanted) {
      const is =
        found.kind === 'other' ? 'neither a file nor a directory' : `a ${found.kind}, not a ${wanted}`
      throw new ReallmError('bad-option', `${to} is ${is}`, { hint: 'choose another output' })
    }
    const work = await workFor(place, file ? undefined : found, bytes)
    if (!file) return { place, folder: place, names: undefined, marker: join(place, '.reallm.json'), work }
    const [folder, name] = [dirname(place), basename(place)]
    const names = [name, ...(file.beside ?? [])]
    return { place, folder, names, marker: join(folder, `.${name}.reallm.json`), work }
  } catch (cause) {
    throw placeError(cause, to)
  }
}

async function workFor(place: string, folder: Entry | undefined, bytes: number): Promise<string> {
  const beside = `${place}.work`
  const taken = await entryAt(beside)
  if (taken && taken.kind !== 'directory') {
    throw new ReallmError('bad-option', `${beside} is in the way: unfinished work goes to a directory there`)
  }
  const parent = await nearestFolder(dirname(place))
  if (!folder) {
    await probe(parent, basename(beside), bytes)
    return beside
  }
  const inside = join(place, '.reallm-work')
  await probe(place, basename(inside), bytes)
  if ((await entryAt(parent))?.device !== folder.device) return inside
  return probe(parent, basename(beside), bytes).then(
    () => beside,
    () => inside,
  )
}

/**
 * What earlier runs wrote to a place, and whether there is anything of it.
 *
 * @param replace whether the files of earlier runs may be replaced
 * @throws `bad-option` naming files that reallm did not write or that were changed since; without `replace`, for any file
 */
export async function refuseOthers(
  { place, folder, names, marker: path }: Place,
  replace: (marker: Marker) => boolean,
): Promise<{ marker: Marker; isTaken: boolean }> {
  const marker = await readMarker(path)
  const taken = names ? (await namesIn(folder)).filter(name => names.includes(name)) : await filesIn(folder)
  if (taken.length === 0) return { marker, isTaken: false }
  if (!replace(marker)) throw notFree(names ? join(folder, taken[0]) : place, names !== undefined)
  const others: string[] = []
  for (const name of taken.sort()) {
    const written = Object.hasOwn(marker.files, name) ? marker.files[name] : undefined
    if (!written) others.push(name)
    else if (!(await isUnchanged(join(folder, name), written))) others.push(`${name} (changed since)`)
  }
  if (others.length > 0) {
    const more = others.length > 3 ? ` and ${others.length - 3} more` : ''
    throw new ReallmError(
      'bad-option',
      `${folder} holds files that reallm did not write: ${others.slice(0, 3).join(', ')}${more}`,
      { hint: 'choose another output, or move them away: --force replaces only what an earlier run wrote' },
    )
  }
  return { marker, isTaken: true }
}

export const notFree = (place: string, isFile: boolean): ReallmError =>
  new ReallmError('bad-option', `${place} ${isFile ? 'is there already' : 'is not empty'}`, {
    hint: 'choose another output, or replace what an earlier run wrote with --force',
  })

const filesIn = async (folder: string): Promise<string[]> => ((await entryAt(folder)) ? pathsIn(folder) : [])

async function namesIn(folder: string): Promise<string[]> {
  return (await entryAt(folder)) ? readdir(folder) : []
}
