// Which processes of this machine are alive, in Node.
import { readFile } from 'node:fs/promises'
import { hostname, uptime } from 'node:os'

/** What tells a process from all others, also from a later one of the same number. */
export interface ProcessIdentity {
  readonly process: number
  readonly host: string
  /** The machine's start and the process's, where the system tells them. */
  readonly birth?: string
}

export async function thisProcess(): Promise<ProcessIdentity> {
  const birth = await birthOf(process.pid)
  return { process: process.pid, host: hostname(), ...(birth && { birth }) }
}

/**
 * Whether a process still runs; undefined for one of another machine, of which nothing is known.
 *
 * @param since when it was known to run, in milliseconds since 1970
 */
export async function isRunning(identity: ProcessIdentity, since: number): Promise<boolean | undefined> {
  if (identity.host !== hostname()) return undefined
  if (!exists(identity.process)) return false
  const birth = await birthOf(identity.process)
  if (birth !== undefined && identity.birth !== undefined) return birth === identity.birth
  const machineStarted = Date.now() - uptime() * 1000
  return since > machineStarted - 60_000
}

function exists(id: number): boolean {
  try {
    process.kill(id, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Linux tells when its processes began, in ticks since the machine's start. */
async function birthOf(id: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${id}/stat`, 'utf8')
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    return `${boot.trim()} ${ticks}`
  } catch {
    return undefined
  }
}

/** Calls `end` when this process ends by itself; returns what takes that back. */
export function onExit(end: () => void): () => void {
  process.once('exit', end)
  return () => void process.off('exit', end)
}
