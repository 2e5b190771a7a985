import { collectGarbage } from '#platform'

/** Bytes of Hessians that are not left to the garbage collector, which does not know what else takes memory. */
const largeBytes = 2 ** 26

/** Frees what nothing refers to any more, where that was as large as Hessians of so many bytes. */
export function freeLarge(bytes: number): void {
  if (bytes > largeBytes) collectGarbage()
}
