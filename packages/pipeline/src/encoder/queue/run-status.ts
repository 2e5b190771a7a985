import { hostname } from 'node:os'
import type { ProgressEvent } from '@reallm/tensor-io'
import type { Redis } from 'ioredis'
import { versionHere } from './connection.ts'
import { type RunStatus, toldSchema } from './run-record.ts'

const prefix = 'reallm:run:'
/** Seconds after which a run that says nothing is gone. */
const lifetime = 30

/** Says how far a run is, until `lifetime` is over. */
export async function tellRun(
  connection: Redis,
  id: string,
  jobs: Pick<RunStatus, 'waiting' | 'answered'>,
  { name, overall }: Pick<ProgressEvent, 'name' | 'overall'>,
): Promise<void> {
  const told: RunStatus = {
    ...{ host: hostname(), process: process.pid, version: versionHere },
    ...{ at: name, share: overall?.share, eta: overall?.eta },
    ...jobs,
  }
  await connection.set(prefix + id, JSON.stringify(told), 'EX', lifetime)
}

export const forgetRun = (connection: Redis, id: string): Promise<number> => connection.del(prefix + id)

/** What all runs say; what cannot be read is left out. */
export async function runsOn(connection: Redis): Promise<RunStatus[]> {
  const runs: RunStatus[] = []
  for (const key of await keysOf(connection, `${prefix}*`)) {
    const parsed = toldSchema.safeParse(await connection.get(key))
    if (parsed.success) runs.push(parsed.data)
  }
  return runs
}

export async function keysOf(connection: Redis, pattern: string): Promise<string[]> {
  const keys = new Set<string>()
  for await (const some of connection.scanStream({ match: pattern, count: 1000 }))
    for (const key of some as string[]) keys.add(key)
  return [...keys].sort()
}
