import type { Backend } from '../backend.ts'
import type { Slot } from '../op.ts'
import { trellisOf } from './trial-codes.ts'

/** Tokens that a small model reads: three at a time, then one. */
const reads = [[3, 1, 4], [5]]

/** Its logits after each, as the reference backend computes them. */
const answers: readonly (readonly number[])[] = [
  [-9.107872, -8.720512, 2.27348, 10.50227, 5.957302, -5.833447, -10.52906, -2.418329],
  [-4.479418, -4.505222, 0.9486113, 5.248662, 3.164842, -2.76833, -5.334422, -1.412333],
]

/**
 * How far a backend's logits of a small model are from those that are known, relative to the largest: products of one token and
 * of several, with trellis codes and plain floats, norms and residuals.
 */
export async function errorOf(backend: Backend): Promise<number> {
  const got = await logitsOf(backend)
  const largest = Math.max(...answers.flat().map(Math.abs))
  const errors = answers.flatMap((answer, r) => answer.map((v, i) => Math.abs(v - got[r][i])))
  return errors.reduce((worst, e) => Math.max(worst, e), 0) / largest
}

/** Logits of the small model after each read. */
async function logitsOf(backend: Backend): Promise<readonly Float32Array[]> {
  const [width, inner] = [64, 96]
  const matrix = (rows: number, cols: number) => {
    const stored = trellisOf(rows, cols, i => Math.imul(i + rows, 0x9e3779b1) >>> 0)
    return backend.weight({ kind: 'stored', stored }, 'packed')
  }
  const read = async (from: number, to: number) =>
    Float32Array.from({ length: (to - from) * width }, (_, i) => Math.sin(from * width + i))
  using embedding = await backend.weight({ kind: 'floats', shape: [8, width], read }, 'f32')
  using up = await matrix(inner, width)
  using down = await matrix(width, inner)
  using weight = backend.vector(Float32Array.from({ length: width }, (_, i) => 1 + i / width))
  const [hidden, between]: Slot[] = [{ width }, { width: inner }]
  const norm = { weight, eps: 1e-5 }
  using program = await backend.program([
    { kind: 'embed', weight: embedding, scale: 1, to: hidden },
    {
      ...{ kind: 'project', from: hidden, norm },
      members: [{ weight: up, bias: undefined, parts: [{ row: 0, to: between }] }],
    },
    {
      ...{ kind: 'residual', from: between, weight: down, bias: undefined, norm: undefined },
      ...{ scale: 0.125, hidden },
    },
    { kind: 'head', from: hidden, norm, weight: embedding, scale: 1, softcap: undefined },
  ])
  using state = backend.state([])
  const logits: Float32Array[] = []
  for (const ids of reads) logits.push(await program.logits({ ids, state, length: 4 }, 'last'))
  return logits
}
