import * as z from 'zod'

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

/** A run's record as it lies in Redis. */
export const toldSchema = z
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
