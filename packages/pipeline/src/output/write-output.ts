import { ReallmError } from '@reallm/tensor-io'
import { join, mkdir, readdir, rm } from '#platform'
import { isLock, lockFolder } from '../checkpoint/lock.ts'
import { type DestinationOptions, openDestination } from './destination.ts'

/** Options of `writeOutput`. */
export interface OutputOptions extends Omit<DestinationOptions, 'resume'> {
  /** What is at work: `reallm convert`. */
  readonly program: string
}

/** Name of the directory in the work directory that files are written to. */
const STAGED = 'output'

/**
 * Writes an output in one go: `write` puts its files into a directory that it is given (beside the path where they
 * will be), and they are published when it has returned. A failure leaves the place as it was; what a killed run has left is cleared away by the next.
 *
 * @throws `bad-option`, `io` as `openDestination` and `lockFolder` do
 * @example
 * await writeOutput('out', { program: 'reallm convert', inputs: { model } }, async folder => {
 *   await writeFileAtomic(join(folder, 'config.json'), '{}')
 * })
 */
export async function writeOutput<T>(
  to: string,
  options: OutputOptions,
  write: (folder: string, place: string) => Promise<T>,
): Promise<T> {
  const output = await openDestination(to, options)
  const lock = await lockFolder(output.work, { program: options.program, resume: true })
  try {
    await refuseForeign(output.work)
    const staged = join(output.work, STAGED)
    try {
      await rm(staged, { recursive: true, force: true })
      await mkdir(staged, { recursive: true })
      const result = await write(staged, output.place)
      await output.publish(staged)
      return result
    } finally {
      await lock.remove()
    }
  } finally {
    await lock.release()
  }
}

/** Only what an earlier run of this kind left may be in the work directory. */
async function refuseForeign(work: string): Promise<void> {
  const others = (await readdir(work)).filter(name => name !== STAGED && !isLock(name))
  if (others.length === 0) return
  throw new ReallmError('bad-option', `${work} holds the work of an unfinished run`, {
    hint: 'finish it with --resume, or delete that directory',
  })
}
