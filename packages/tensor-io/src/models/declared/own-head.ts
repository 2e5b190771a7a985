import type { ModelFiles } from '../../formats/model-files.ts'

/** Floats that are compared at a time. */
const STEP = 1 << 20

/** Whether an output head is stored that is another matrix than the embedding; reads until the first difference. */
export async function hasOwnHead(files: ModelFiles, head: string, embedding: string): Promise<boolean> {
  const [a, b] = [head, embedding].map(name => files.tensors.get(name))
  if (!a || !b) return false
  if (a.shape.join() !== b.shape.join()) return true
  const [rows, cols = 1] = a.shape
  const step = Math.max(1, Math.floor(STEP / cols))
  for (let from = 0; from < rows; from += step) {
    const range = [from, Math.min(rows, from + step)] as const
    const ours = (await files.readFloat32(head, range)).data
    const theirs = (await files.readFloat32(embedding, range)).data
    if (ours.some((value, i) => value !== theirs[i])) return true
  }
  return false
}
