import type { IntegerTable } from '@reallm/kernels/webgpu'
import type { Weight } from '../weight.ts'
import type { GpuOp } from './gpu-op.ts'
import { type GpuWeight, isTrellis } from './weight.ts'

/** The tables of values of all trellis codes of a program, those of a matrix one after another; in bytes. */
export class Tables {
  readonly #places = new Map<string, number>()
  readonly #lists: (readonly IntegerTable[])[] = []
  #size = 0

  place(tables: readonly IntegerTable[]): number {
    const key = tables.map(({ codes, step }) => `${codes.length} ${step} ${digest(codes)}`).join()
    const known = this.#places.get(key)
    if (known !== undefined) return known
    const at = this.#size
    this.#places.set(key, at)
    this.#lists.push(tables)
    this.#size += tables.reduce((sum, { codes }) => sum + codes.length, 0)
    return at
  }

  words(): Uint32Array<ArrayBuffer> {
    const bytes = new Int8Array(Math.max(16, this.#size))
    let at = 0
    for (const { codes } of this.#lists.flat()) {
      bytes.set(codes, at)
      at += codes.length
    }
    return new Uint32Array(bytes.buffer)
  }
}

/** Two numbers of 32 bits that tell tables apart. */
function digest(codes: Int8Array): string {
  let [a, b] = [0x811c9dc5, 1]
  for (const code of codes) {
    a = Math.imul(a ^ (code & 255), 0x01000193)
    b = (Math.imul(b, 31) + code) | 0
  }
  return `${a} ${b}`
}

/** Tables at most of a matrix, by state bits. */
export function tableCountsOf(ops: readonly GpuOp[]): Map<number, number> {
  const counts = new Map<number, number>()
  for (const weight of ops.flatMap(weightsOf)) {
    for (const { blob } of weight.pieces) {
      if (isTrellis(blob))
        counts.set(blob.stateBits, Math.max(counts.get(blob.stateBits) ?? 0, blob.tables.length))
    }
  }
  return counts
}

const weightsOf = (op: GpuOp): GpuWeight[] => matricesOf(op) as GpuWeight[]

function matricesOf(op: GpuOp): Weight[] {
  switch (op.kind) {
    case 'project':
      return op.members.map(({ weight }) => weight)
    case 'per-layer-inputs':
      return [op.projection, op.table]
    case 'experts': {
      const all = op.shared ? [...op.experts, op.shared] : op.experts
      const own = all.flatMap(({ members, weight }) => [...members.map(member => member.weight), weight])
      return [op.router.weight, ...own]
    }
    default:
      return 'weight' in op ? [op.weight] : []
  }
}

/** Tables with room after them: kernels load as many as the matrix with the most has. */
export function padded(
  words: Uint32Array<ArrayBuffer>,
  counts: ReadonlyMap<number, number>,
): Uint32Array<ArrayBuffer> {
  const most = Math.max(0, ...[...counts].map(([bits, count]) => (count * 2 ** bits) / 4))
  const all = new Uint32Array(words.length + most)
  all.set(words)
  return all
}
