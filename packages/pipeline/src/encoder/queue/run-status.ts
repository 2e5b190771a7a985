import { hostname } from 'node:os'
import type { ProgressEvent } from '@reallm/tensor-io'
import type { Redis } from 'ioredis'
import * as z from 'zod'
import { versionHere } from './connection.ts'

const prefix = 'reallm:run:'
/** Seconds after which a run that says nothing is gone. */
const lifetime = 30

const runSchema = z.object({
  host: z.string(),
  process: z.number(),
  version: z.string(),
  /** What the run is at: a module or file. */
  at: z.string().optional(),
  /** 0 to 1. */
  share: z.number().optional(),
  /** Seconds left, estimated. */
  eta: z.number().optional(),
  /** Matrices that are with the workers, and those that came back. */
  waiting: z.number(),
  answered: z.number(),
})

const toldSchema = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.addIssue('not JSON')
      return z.NEVER
    }
  })
  .pipe(runSchema)

/** What a run says of itself. */
export type RunStatus = z.infer<typeof runSchema>

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
