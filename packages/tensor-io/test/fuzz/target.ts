import { getHeapStatistics } from 'node:v8'
import fc from 'fast-check'
import { ReallmError } from '../../src/index.ts'

/** Looks at so many damaged files; all that may come out of reading them is an error of this project. */
export type Check = (
  numRuns: number,
  seed: number,
) => Promise<{ failed: boolean; report: string | undefined }>

/** Seconds of processor time that a file may take. */
const mostSeconds = 2
/** Bytes that reading may take beside twice the file. */
const mostMemory = 16 * 2 ** 20

/** Bytes that JavaScript holds: values and the buffers behind them. */
function heldBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

/**
 * A kind of file.
 *
 * @param bytes size of the undamaged file
 * @param names what errors call it: each must name the file
 */
export function target<T>(
  { bytes, names }: { readonly bytes: number; readonly names: RegExp },
  inputs: fc.Arbitrary<T>,
  read: (input: T) => Promise<void> | void,
): Check {
  async function survives(input: T): Promise<void> {
    try {
      await read(input)
    } catch (error) {
      if (!(error instanceof ReallmError)) throw error
      if (/Cannot read|is not a function/.test(error.message)) throw error
      if (!names.test(error.message)) throw new Error(`it names no file: ${error.message}`)
    }
  }
  async function withinBounds(input: T): Promise<void> {
    const held = heldBytes()
    const started = process.cpuUsage()
    await survives(input)
    const { user } = process.cpuUsage(started)
    const taken = heldBytes() - held
    if (user > 1e6 * mostSeconds) throw new Error(`it takes ${user / 1e6} seconds`)
    if (taken > 2 * bytes + mostMemory) throw new Error(`it takes ${taken} bytes of memory`)
  }
  return async (numRuns, seed) => {
    const options = { numRuns, seed, includeErrorInReport: true }
    const details = await fc.check(fc.asyncProperty(inputs, withinBounds), options)
    return { failed: details.failed, report: fc.defaultReportMessage(details) }
  }
}
