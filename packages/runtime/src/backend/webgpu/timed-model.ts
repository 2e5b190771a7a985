import { type EncodedMatrix, tensor } from '@reallm/tensor-io'
import type { Backend } from '../backend.ts'
import type { Op, Slot } from '../op.ts'
import type { Weight, WeightForm } from '../weight.ts'
import { trellisOf } from './trial-codes.ts'

/** Width of the matrices that are timed. */
const WIDTH = 1024

export interface Trial {
  readonly layers?: number
  /** Tokens that are chosen, and those of a prompt that is read. */
  readonly tokens?: number
}

/** Milliseconds of a token of a small model of rotated trellis codes, and of a token of its prompt. */
export async function timeOf(
  backend: Backend,
  form: WeightForm,
  { layers = 8, tokens = 16 }: Trial = {},
): Promise<{ readonly token: number; readonly prompt: number }> {
  const made: Weight[] = []
  const matrix = async (rows: number) => {
    const weight = await backend.weight({ kind: 'stored', stored: rotatedTrellis(rows, WIDTH) }, form)
    made.push(weight)
    return weight
  }
  const [hidden, inner]: Slot[] = [{ width: WIDTH }, { width: WIDTH }]
  const read = async (from: number, to: number) => new Float32Array((to - from) * WIDTH)
  const embedding = await backend.weight({ kind: 'floats', shape: [64, WIDTH], read }, 'int8')
  made.push(embedding)
  const weight = backend.vector(new Float32Array(WIDTH).fill(1))
  const norm = { weight, eps: 1e-5 }
  const ops: Op[] = [{ kind: 'embed', weight: embedding, scale: 1, to: hidden }]
  for (let i = 0; i < layers; i++) {
    const members = [{ weight: await matrix(WIDTH), bias: undefined, parts: [{ row: 0, to: inner }] }]
    const from = { from: inner, weight: await matrix(WIDTH), bias: undefined, norm: undefined }
    ops.push(
      { kind: 'project', from: hidden, norm, members },
      { kind: 'residual', ...from, scale: 1, hidden },
    )
  }
  ops.push({ kind: 'head', from: hidden, norm, weight: embedding, scale: 1, softcap: undefined })
  const program = await backend.program(ops)
  const state = backend.state([])
  const length = 4 * (tokens + backend.batch)
  const draws = new Array<number>(tokens).fill(0)
  const draw = () => program.sample({ ids: [1], state, length }, { options: {}, previous: [], draws })
  const ids = new Array<number>(Math.min(backend.batch, 16 * tokens)).fill(1)
  const prompt = () => program.logits({ ids, state, length }, 'last')
  const time = async (work: () => Promise<unknown>, count: number) => {
    state.truncate(0)
    await work()
    const start = performance.now()
    await work()
    return (performance.now() - start) / count
  }
  const times = { token: await time(draw, tokens), prompt: await time(prompt, ids.length) }
  for (const held of [program, state, weight, ...made]) held[Symbol.dispose]()
  return times
}

/** A trellis code behind a rotation of both sides. */
function rotatedTrellis(rows: number, cols: number): EncodedMatrix {
  const inner = trellisOf(rows, cols, () => 0)
  const parts = { seed: tensor('U32', [1], Uint32Array.of(7)) }
  return { codec: 'rotation', params: { inner: inner.params }, shape: [rows, cols], parts, inner }
}
