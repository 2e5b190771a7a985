import { ReallmError, writeFileAtomic } from '@reallm/tensor-io'
import { join, mkdir, readdir, readFile, rm } from '#platform'

/** Everything that changes the bytes of the result, as plain values: a run may only go on with the same. */
export type JournalOptions = Readonly<Record<string, string | number | boolean | null>>

/** The work directory of one long run: what is finished, and with which options. Written atomically, file by file. */
export interface Journal {
  readonly folder: string
  /** True when an earlier run's work was found and is continued. */
  readonly resumed: boolean
  /** A value saved under `name`, or undefined. */
  read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined>
  /** Saves a value; after a kill at any moment it is there entirely or not at all. */
  write(name: string, bytes: Uint8Array | string): Promise<void>
  /** A value saved as JSON; made with `make` and saved the first time. */
  remember<T>(name: string, make: () => Promise<T>): Promise<T>
  /** Path of a scratch file that a resumed run does not rely on. */
  scratch(name: string): string
  remove(): Promise<void>
}

const optionsFile = 'options.json'

/**
 * Opens the work directory `folder`. A new one records `options`; an existing one is only continued with
 * `resume` and the same options.
 *
 * @throws `bad-option` when work is there and `resume` is not set; `changed-option` naming the old and new value.
 */
export async function openJournal(
  folder: string,
  options: JournalOptions,
  resume: boolean | undefined,
): Promise<Journal> {
  const before = await readJson<JournalOptions>(join(folder, optionsFile))
  if (before !== undefined && !resume) {
    throw new ReallmError('bad-option', `${folder} holds the work of an unfinished run`, {
      hint: 'continue it with --resume, or delete that directory to start anew',
    })
  }
  if (before !== undefined) refuseChanges(before, options)
  const scratch = join(folder, 'scratch')
  await rm(scratch, { recursive: true, force: true })
  await mkdir(scratch, { recursive: true })
  const write = (name: string, bytes: Uint8Array | string) => writeFileAtomic(join(folder, name), bytes)
  if (before === undefined) await write(optionsFile, `${JSON.stringify(options, null, 2)}\n`)

  return {
    folder,
    resumed: before !== undefined,
    write,
    read: name => readIfThere(join(folder, name)),
    async remember(name, make) {
      const known = await readJson<{ value: Awaited<ReturnType<typeof make>> }>(join(folder, name))
      if (known) return known.value
      const value = await make()
      await write(name, JSON.stringify({ value }))
      return value
    },
    scratch: name => join(scratch, name),
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

function refuseChanges(before: JournalOptions, now: JournalOptions): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(now)])) {
    const [old, current] = [before[name] ?? null, now[name] ?? null]
    if (old === current) continue
    throw new ReallmError(
      'changed-option',
      `${name} was ${old ?? 'not set'} when this run began, and is ${current ?? 'not set'} now`,
      { hint: 'repeat the first options with --resume, or delete the work directory to start anew' },
    )
  }
}

async function readIfThere(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const bytes = await readIfThere(path)
  if (bytes === undefined) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as T
  } catch (cause) {
    throw new ReallmError('bad-file', `${path} is not JSON`, { hint: 'delete the work directory', cause })
  }
}

/** Throws `bad-option` when `folder` holds anything and `force` is not set. */
export async function requireEmpty(folder: string, force: boolean | undefined): Promise<void> {
  let names: string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return
    if (code === 'ENOTDIR') throw new ReallmError('bad-option', `${folder} is a file, not a directory`)
    throw error
  }
  if (names.length > 0 && !force) {
    throw new ReallmError('bad-option', `${folder} is not empty`, {
      hint: 'choose another directory, or replace it with --force',
    })
  }
}
