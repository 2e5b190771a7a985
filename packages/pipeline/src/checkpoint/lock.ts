import { ReallmError } from '@reallm/tensor-io'
import {
  basename,
  createNew,
  dirname,
  isRunning,
  join,
  mkdir,
  onExit,
  type ProcessIdentity,
  readdir,
  readFile,
  removeEmpty,
  rename,
  rm,
  rmNow,
  thisProcess,
  uniqueName,
} from '#platform'

export interface LockOptions {
  /** What is at work, for whoever comes second: `reallm compress`. */
  readonly program: string
  /** Take over the work of a process that has ended. */
  readonly resume?: boolean | undefined
}

/** A directory that no other run writes to until it is released, or this process ends. */
export interface FolderLock {
  /** Gives the directory free, with what is in it; an empty one goes. Harmless after `remove`. */
  release(): Promise<void>
  /** Removes the directory by one rename, so that a kill leaves no half of it under its name. Harmless after `release`. */
  remove(): Promise<void>
}

interface Holder extends ProcessIdentity {
  readonly program: string
  /** Milliseconds since 1970. */
  readonly since: number
}

/**
 * Makes a directory, if it is not there, and locks it for this process. The lock names process, machine, time and
 * program. Locks are numbered files that are only ever created, so that of two starters, or of two that take over the
 * same dead process's work, exactly one wins, and a kill at any moment leaves a lock that can be told to be dead.
 * In a page, where no other process sees the files, nothing is locked.
 *
 * @throws `bad-option` when another process is at work, with its number; when one of another machine may be, with the
 *   way out; when one that has ended left work and `resume` is not set
 * @example
 * const lock = await lockFolder('out.work', { program: 'reallm compress', resume: true })
 * try { … } finally { await lock.release() }
 */
export async function lockFolder(folder: string, { program, resume }: LockOptions): Promise<FolderLock> {
  const me = await thisProcess?.()
  await sweep(folder)
  if (!me) {
    await mkdir(folder, { recursive: true })
    return unlockedFolder(folder)
  }
  for (;;) {
    await mkdir(folder, { recursive: true })
    const last = (await numbersIn(folder)).at(-1) ?? 0
    if (last > 0) {
      const holder = await holderOf(pathOf(folder, last))
      if (holder === 'gone') continue
      await refuseLiving(folder, last, holder)
      if (!resume) throw unfinished(folder)
    }
    const own = pathOf(folder, last + 1)
    const holder: Holder = { ...me, program, since: Date.now() }
    if (!(await createNew(own, `${JSON.stringify(holder)}\n`))) continue
    const numbers = await numbersIn(folder)
    if (numbers.at(-1) === last + 1) {
      for (const number of numbers) if (number <= last) await rm(pathOf(folder, number), { force: true })
      return heldLock(folder, own)
    }
    await rm(own, { force: true })
  }
}

/** What a page has instead of a lock. */
function unlockedFolder(folder: string): FolderLock {
  let isThere = true
  return {
    release: async () => {},
    async remove() {
      if (isThere) await removeFolder(folder, () => void (isThere = false))
    },
  }
}

function heldLock(folder: string, own: string): FolderLock {
  const forget = onExit(() => rmNow(own))
  let isHeld = true
  const giveUp = () => {
    isHeld = false
    forget()
  }
  return {
    async release() {
      if (!isHeld) return
      giveUp()
      await rm(own, { force: true })
      await removeEmpty(folder)
    },
    async remove() {
      if (isHeld) await removeFolder(folder, giveUp)
    },
  }
}

/** Whether a name in a work directory is a lock's. */
export const isLock = (name: string): boolean => /^lock\.\d+\.json$/.test(name)

const pathOf = (folder: string, number: number) => join(folder, `lock.${number}.json`)

/** Numbers of the lock files in a directory, ascending: the last one holds. */
async function numbersIn(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .flatMap(name => /^lock\.(\d+)\.json$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

/** Who wrote a lock; undefined when it says nothing because its writer was killed on the way. */
async function holderOf(path: string): Promise<Holder | undefined | 'gone'> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      return JSON.parse(await readFile(path, 'utf8')) as Holder
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone'
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  return undefined
}

async function refuseLiving(folder: string, number: number, holder: Holder | undefined): Promise<void> {
  const alive = holder && (await isRunning(holder, holder.since))
  if (!holder || alive === false) return
  const { process, host, program, since } = holder
  const who = `process ${process}${alive ? '' : ` on ${host}`} (${program}) since ${timeOf(since)}`
  throw new ReallmError('bad-option', `${folder} is being written by ${who}`, {
    hint: alive
      ? 'wait for it, or choose another output'
      : `wait for it; if it no longer runs, delete ${pathOf(folder, number)} and go on with --resume`,
  })
}

/** `2026-11-28 12:03`, in local time. */
function timeOf(milliseconds: number): string {
  const date = new Date(milliseconds)
  const two = (n: number) => String(n).padStart(2, '0')
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`
}

const unfinished = (folder: string) =>
  new ReallmError('bad-option', `${folder} holds the work of an unfinished run`, {
    hint: 'continue it with --resume, or delete that directory to start anew',
  })

async function removeFolder(folder: string, giveUp: () => void): Promise<void> {
  const gone = `${folder}.removed-${uniqueName()}`
  await rename(folder, gone)
  giveUp()
  await rm(gone, { recursive: true, force: true })
}

/** Removes what kills inside a removal have left. */
async function sweep(folder: string): Promise<void> {
  const parent = dirname(folder)
  for (const name of await readdir(parent).catch(() => [])) {
    if (!name.startsWith(`${basename(folder)}.removed-`)) continue
    await rm(join(parent, name), { recursive: true, force: true })
  }
}
