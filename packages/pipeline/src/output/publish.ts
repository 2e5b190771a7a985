import { dirname, entryAt, join, mkdir, readdir, rename, rm } from '#platform'
import { describeFile, readMarker, type WrittenFile, writeMarker } from './marker.ts'

/** Where files go, and where it is noted which of them are ours. */
export interface Landing {
  readonly folder: string
  readonly marker: string
  /** Directory that holds what is being published, as a directory in it. */
  readonly work: string
}

/** A model directory is none without it, so that a half-moved one cannot be loaded by mistake. */
const HEAD = 'config.json'

/**
 * Moves the files of `<work>/<from>` to the folder, one rename each, in place of what earlier runs wrote. The marker
 * says first what will be moved: a run that is killed on the way is finished by `finishMove`, at any later time.
 */
export async function moveIn(landing: Landing, from: string, run: string | undefined): Promise<void> {
  const { folder, marker, work } = landing
  await mkdir(folder, { recursive: true })
  const fresh = await describeFolder(join(work, from))
  const { files } = await readMarker(marker)
  const moving = { from, files: Object.keys(fresh) }
  await writeMarker(marker, { ...(run && { run }), files: { ...files, ...fresh }, moving })
  await finishMove(landing)
}

/** Finishes a publication that an earlier run began, and does nothing where there is none. */
export async function finishMove({ folder, marker, work }: Landing): Promise<void> {
  const { moving, ...found } = await readMarker(marker)
  if (!moving) return
  const staged = join(work, moving.from)
  const [fresh, old] = [new Set(moving.files), Object.keys(found.files)]
  if (await entryAt(join(staged, HEAD))) await rm(join(folder, HEAD), { force: true })
  for (const name of headLast(moving.files)) await moveIfThere(join(staged, name), join(folder, name))
  for (const name of old) {
    if (fresh.has(name)) continue
    await rm(join(folder, name), { force: true })
    if (name.includes('/')) await removeEmpty(dirname(join(folder, name)))
  }
  const files = Object.fromEntries(moving.files.map(name => [name, found.files[name]]))
  await writeMarker(marker, { ...found, files })
  await rm(staged, { recursive: true, force: true })
}

/** What a marker says of all files of a directory, by their paths in it. */
export async function describeFolder(folder: string): Promise<Record<string, WrittenFile>> {
  const files: Record<string, WrittenFile> = {}
  for (const path of await pathsIn(folder)) {
    const file = await describeFile(join(folder, path))
    if (file) files[path] = file
  }
  return files
}

/** Paths of all files in a folder and its folders, in order, and of empty folders; what has a dot in front is left out. */
export async function pathsIn(folder: string): Promise<string[]> {
  const paths: string[] = []
  for (const name of (await readdir(folder)).filter(isVisible).sort()) {
    const entry = await entryAt(join(folder, name))
    const inside = entry?.kind === 'directory' ? await pathsIn(join(folder, name)) : []
    paths.push(...(inside.length > 0 ? inside.map(path => `${name}/${path}`) : [name]))
  }
  return paths
}

/** Names with a dot in front are never written and never touched, except the marker. */
const isVisible = (name: string): boolean => !name.startsWith('.')

const headLast = (names: readonly string[]) => [
  ...names.filter(name => name !== HEAD),
  ...names.filter(name => name === HEAD),
]

async function removeEmpty(folder: string): Promise<void> {
  if ((await entryAt(folder)) && (await readdir(folder)).length === 0) await rm(folder, { recursive: true })
}

async function moveIfThere(from: string, to: string): Promise<void> {
  try {
    await mkdir(dirname(to), { recursive: true })
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
