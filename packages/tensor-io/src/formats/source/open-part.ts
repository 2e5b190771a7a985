import { ReallmError } from '../../core/errors.ts'
import type { ByteSource } from './source.ts'

/**
 * Opens one of several files that make a whole.
 *
 * @param whole what errors call the whole
 * @throws `not-found` naming the part that is missing
 */
export async function openPart(
  whole: string,
  part: string,
  open: (part: string) => Promise<ByteSource>,
): Promise<ByteSource> {
  try {
    return await open(part)
  } catch (cause) {
    if (!(cause instanceof ReallmError && cause.code === 'not-found')) throw cause
    throw new ReallmError('not-found', `${whole}: the shard ${part} is missing`, {
      cause,
      hint: 'download the model again, or copy that file beside the others',
    })
  }
}
