import { collectGarbage } from '#platform'

/** Bytes of matrices that are not left to the garbage collector, which does not know what else takes memory. */
const largeBytes = 2 ** 26

/** Frees what nothing refers to any more, where matrices of so many bytes were among it. */
export function freeLarge(bytes: number): void {
  if (bytes > largeBytes) collectGarbage()
}
