import { ReallmError } from '@reallm/tensor-io'
import { basename, dirname, entryAt, join, mkdir, rename } from '#platform'
import { type Inputs, refuseInputFile, refuseInputs } from './inputs.ts'
import { type LookOptions, lookAt, notFree, refuseOthers } from './look.ts'
import { writeMarker } from './marker.ts'
import { describeFolder, finishMove, moveIn } from './publish.ts'

/** Who writes an output, from what, and what may be replaced. */
export interface DestinationOptions extends LookOptions {
  /** Everything that the run reads; an output that is or holds one of them is refused. */
  readonly inputs: Inputs
  /** Replace what an earlier run wrote: its files, and nothing else. */
  readonly force?: boolean | undefined
  /** Accept what an earlier run published, for the caller to ask `isPublished`. */
  readonly resume?: boolean | undefined
  /** The output is one file instead of a directory; files of these names are written beside it. */
  readonly file?: { readonly beside?: readonly string[] } | undefined
  /** Bytes that will be written at least, where they are known. */
  readonly bytes?: number
}

/** A place that may be written to, checked before any work. */
export interface Destination {
  /** The output with links resolved. */
  readonly place: string
  /**
   * Directory for whatever is unfinished: `<place>.work`, or a hidden one in the place where its neighbourhood is
   * another file system or cannot be written. It is not made here: `lockFolder` does, before anything is written.
   */
  readonly work: string
  /**
   * Whether what lies in the place was published by this run, of which only cleaning up is left.
   *
   * @param run tells runs apart: a digest of everything that decides about the result
   * @throws `bad-option` when another run's output lies there and `force` is not set
   */
  isPublished(run: string): boolean
  /**
   * Puts the files of a directory in `work` in their place, and notes in a hidden marker that they are ours. A new
   * directory appears by one rename. In one that exists, old files of ours go as the new ones come, each by a rename;
   * a run that is killed meanwhile is finished when the place is opened next.
   *
   * @param staged a directory directly in `work`, with files only
   * @throws `bad-option` when files of others have come since the place was opened; `staged` is kept then
   */
  publish(staged: string, run?: string): Promise<void>
}

/**
 * Opens the place that a command writes to, and refuses it before any work when it is or holds an input, holds files
 * that reallm did not write, or cannot be written (read-only, full, impossible). Links are resolved; `.` is a place
 * like any other. What a killed run had begun to publish there is finished first.
 *
 * A command calls it first, then locks `work`, writes its result to a directory in it, publishes that directory, and
 * removes `work`. `writeOutput` does all of it for commands that cannot be resumed.
 *
 * @throws `bad-option` naming the input or the files in the way; `io` for a place that cannot be written
 * @example
 * const output = await openDestination('out', { inputs: { model, data }, force, resume })
 * const lock = await lockFolder(output.work, { program: 'reallm compress', resume })
 * await writeArtifact(join(output.work, 'artifact'))
 * await output.publish(join(output.work, 'artifact'), run)
 * await lock.remove()
 */
export async function openDestination(to: string, options: DestinationOptions): Promise<Destination> {
  if (to === '') throw new ReallmError('bad-option', 'the output has no name')
  const { inputs, force, resume } = options
  const found = await lookAt(to, options)
  const { place, folder, names, work } = found
  await refuseInputs(work, inputs)
  if (names) for (const name of names) await refuseInputFile(join(folder, name), inputs)
  else await refuseInputs(place, inputs)
  await finishMove(found)
  const { marker, isTaken } = await refuseOthers(found, () => Boolean(force || resume))

  return {
    place,
    work,
    isPublished(run) {
      if (isTaken && marker.run === run) return true
      if (isTaken && !force) throw notFree(place, names !== undefined)
      return false
    },
    async publish(staged, run) {
      if (!names && !(await entryAt(place))) {
        const files = await describeFolder(staged)
        await writeMarker(join(staged, basename(found.marker)), { ...(run && { run }), files })
        await mkdir(dirname(place), { recursive: true })
        if (await renamed(staged, place)) return
      }
      await refuseOthers(found, before => Boolean(force || (run && before.run === run)))
      await moveIn(found, basename(staged), run)
    },
  }
}

/** False when something has come to lie at `to` in the meantime. */
async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(code)) return false
    throw error
  }
}
