import { ReallmError, writeFileAtomic } from '@reallm/tensor-io'
import { dirname, join, mkdir, mkdtemp, readdir, readFile, rm, tmpdir } from '#platform'
import type { Key } from './keys.ts'
import { isLock, lockFolder } from './lock.ts'

/** Raised when a value is kept in another form: an older work directory is then refused by number. */
const schemaVersion = 1

/** Everything that decides about the bytes of the result, as plain values: a run only goes on with the same. */
export type Identity = Readonly<Record<string, string | number | boolean | null>>

/** What outlives a process: values under typed keys, each there entirely or not at all. */
export interface Checkpoint {
  /** The value, or undefined when it has not been put; throws `bad-file` when it cannot be read. */
  get<T>(key: Key<T>): Promise<T | undefined>
  put<T>(key: Key<T>, value: T): Promise<void>
  /** The value; made and put the first time. */
  once<T>(key: Key<T>, make: () => Promise<T>): Promise<T>
  /** A directory for what only this process relies on; empty when the checkpoint is opened. */
  readonly scratch: string
  /** A directory for those who keep checkpoints of their own, such as trainings; made if needed. */
  folder(name: string): Promise<string>
}

/** A checkpoint that this process alone writes to. */
export interface OwnCheckpoint extends Checkpoint {
  /** Throws `io` when the work directory was deleted or moved since it was opened: what was put in it may be missing. */
  refuseLoss(): Promise<void>
  /** Gives the work directory free, for a later run to resume; one that nothing was put in goes. Harmless after `remove`. */
  close(): Promise<void>
  /** Removes the work directory. */
  remove(): Promise<void>
}

export interface CheckpointOptions {
  /** What is at work, for whoever comes second: `reallm compress`. */
  readonly program: string
  /** Everything that decides about the bytes of the result. */
  readonly identity: Identity
  /** Go on with the work that is there. */
  readonly resume?: boolean | undefined
}

const identityFile = 'options.json'
const scratchFolder = 'scratch'

/**
 * Opens and locks the work directory `folder`. A new one records `identity`; an existing one is only continued with `resume`
 * and the same identity. What lies there without an identity may be anybody's: it is neither used nor removed.
 *
 * @throws `bad-option` when another process is at work there, when work is there and `resume` is not set, or files of others;
 *   `changed-option` naming the old and new value; `bad-file` for what another version has written
 */
export async function openCheckpoint(
  folder: string,
  { program, identity, resume }: CheckpointOptions,
): Promise<OwnCheckpoint> {
  const lock = await lockFolder(folder, { program, resume })
  try {
    const before = await readIdentity(folder)
    if (before !== undefined && !resume) {
      throw new ReallmError('bad-option', `${folder} holds the work of an unfinished run`, {
        hint: 'continue it with --resume, or delete that directory to start anew',
      })
    }
    if (before !== undefined) refuseChanges(before, identity)
    else await refuseOthers(folder)
    const checkpoint = checkpointIn(folder)
    await rm(checkpoint.scratch, { recursive: true, force: true })
    await mkdir(checkpoint.scratch, { recursive: true })
    if (before === undefined) {
      const recorded = JSON.stringify({ version: schemaVersion, identity }, null, 2)
      await writeFileAtomic(join(folder, identityFile), `${recorded}\n`)
    }
    return {
      ...checkpoint,
      async refuseLoss() {
        if ((await readIdentity(folder)) === undefined) throw lost(folder)
      },
      close: async () => ((await othersIn(folder)).length > 0 ? lock.release() : lock.remove()),
      remove: lock.remove,
    }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** What a work directory, or a file in it, was when it was there. */
export const lost = (path: string): ReallmError =>
  new ReallmError('io', `${path} is gone, with work that was kept in it`, {
    hint: 'was it deleted or moved meanwhile? start anew',
  })

/** A checkpoint in a temporary directory, which `close` removes. */
export async function temporaryCheckpoint(): Promise<Checkpoint & { close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-'))
  const checkpoint = checkpointIn(folder)
  await mkdir(checkpoint.scratch, { recursive: true })
  return { ...checkpoint, close: () => rm(folder, { recursive: true, force: true }) }
}

/** Values in a directory, whoever looks after it. */
export function checkpointIn(folder: string): Checkpoint {
  const pathOf = ({ file }: { readonly file: string }) => join(folder, file)
  async function get<T>(key: Key<T>): Promise<T | undefined> {
    const bytes = await readIfThere(pathOf(key))
    if (bytes === undefined) return undefined
    try {
      return await key.decode(bytes)
    } catch (cause) {
      throw new ReallmError('bad-file', `${pathOf(key)} cannot be read: ${(cause as Error).message}`, {
        hint: `delete ${folder} to start anew`,
        cause,
      })
    }
  }
  async function put<T>(key: Key<T>, value: T): Promise<void> {
    await mkdir(dirname(pathOf(key)), { recursive: true })
    await writeFileAtomic(pathOf(key), key.encode(value))
  }
  return {
    get,
    put,
    async once(key, make) {
      const known = await get(key)
      if (known !== undefined) return known
      const value = await make()
      await put(key, value)
      return value
    },
    scratch: join(folder, scratchFolder),
    async folder(name) {
      await mkdir(join(folder, name), { recursive: true })
      return join(folder, name)
    },
  }
}

async function readIdentity(folder: string): Promise<Identity | undefined> {
  const path = join(folder, identityFile)
  const bytes = await readIfThere(path)
  if (bytes === undefined) return undefined
  const hint = `delete ${folder} to start anew`
  let recorded: { version?: unknown; identity?: Identity }
  try {
    recorded = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new ReallmError('bad-file', `${path} is not JSON`, { hint, cause })
  }
  if (recorded.version === schemaVersion && recorded.identity) return recorded.identity
  throw new ReallmError(
    'bad-file',
    `${path} has version ${recorded.version ?? 0} of the work directory; this release reads ${schemaVersion}`,
    { hint },
  )
}

function refuseChanges(before: Identity, now: Identity): void {
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

/** What lies in a work directory beside what opening it makes. */
async function othersIn(folder: string): Promise<string[]> {
  const own = new Set([scratchFolder, identityFile, `${identityFile}.partial`])
  const names = await readdir(folder).catch(() => [])
  return names.filter(name => !isLock(name) && !own.has(name)).sort()
}

async function refuseOthers(folder: string): Promise<void> {
  const others = await othersIn(folder)
  if (others.length === 0) return
  const more = others.length > 3 ? ` and ${others.length - 3} more` : ''
  throw new ReallmError(
    'bad-option',
    `${folder} holds files, but no run that can be continued: ${others.slice(0, 3).join(', ')}${more}`,
    { hint: 'move them away, or delete that directory' },
  )
}

async function readIfThere(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return new Uint8Array(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
