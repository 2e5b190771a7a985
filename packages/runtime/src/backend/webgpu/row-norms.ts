import type { Backend, Program } from '../backend.ts'
import type { GpuOp } from './gpu-op.ts'
import type { GpuWeight } from './weight.ts'

interface GpuBackend extends Pick<Backend, 'batch' | 'state'> {
  program(ops: readonly GpuOp[]): Promise<Program>
}

/** The norms of a matrix's rows: a packed matrix is known by its products alone, so that its columns are computed, a batch at a time. */
export async function rowNorms(backend: GpuBackend, weight: GpuWeight): Promise<Float32Array> {
  const { batch } = backend
  using program = await backend.program([{ kind: 'column-squares', weight }])
  using state = backend.state([])
  let squares: Float32Array = new Float32Array(0)
  for (let first = 0; first < weight.cols; first += batch) {
    const ids = Array.from({ length: batch }, (_, t) => first + t)
    squares = await program.logits({ ids, state, length: first + batch }, 'last')
  }
  return squares.map(Math.sqrt)
}
