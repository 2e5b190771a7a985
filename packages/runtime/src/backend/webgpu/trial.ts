import { decodeTrellisRows, trellisMatrix } from '@reallm/kernels/decode/trellis'
import { checkParts, type EncodedMatrix, tensor } from '@reallm/tensor-io'
import { trellisLayout } from '@reallm/tensor-io/layouts/trellis'
import { trellisWords } from '@reallm/tensor-io/layouts/trellis-segments'
import type { Backend } from '../backend.ts'
import type { Op, Slot } from '../op.ts'
import type { Weight, WeightForm } from '../weight.ts'

/** How far a product may be from the one on the CPU, relative to its largest value. */
const TOLERANCE = 1e-3
/** Width of the matrices that are timed. */
const WIDTH = 1024

/** Whether a device multiplies by a small stored matrix as its decoded floats do. */
export async function isRight(backend: Backend): Promise<boolean> {
  const size = 64
  const stored = trellisOf(size, size, i => Math.imul(i + 1, 0x9e3779b1) >>> 0)
  const data = new Float32Array(size * size)
  decodeTrellisRows(trellisMatrix(checkParts(trellisLayout, stored)), 0, size, data)
  const input = Float32Array.from({ length: size }, (_, i) => Math.sin(i))
  const hidden: Slot = { width: size }
  const read = async () => input
  using embedding = await backend.weight({ kind: 'floats', shape: [1, size], read }, 'f32')
  using weight = await backend.weight({ kind: 'stored', stored }, 'packed')
  using program = await backend.program([
    { kind: 'embed', weight: embedding, scale: 1, to: hidden },
    { kind: 'head', from: hidden, norm: undefined, weight, scale: 1, softcap: undefined },
  ])
  using state = backend.state([])
  const got = await program.logits({ ids: [0], state, length: 1 }, 'last')
  const want = got.map((_, r) => input.reduce((sum, x, c) => sum + x * data[r * size + c], 0))
  const largest = want.reduce((top, v) => Math.max(top, Math.abs(v)), 0)
  return want.every((v, r) => Math.abs(v - got[r]) <= TOLERANCE * largest)
}

/** Milliseconds of a token of a small model of rotated trellis codes. */
export async function timeOf(
  backend: Backend,
  form: WeightForm,
  { layers = 8, tokens = 16 } = {},
): Promise<number> {
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
  const ops: Op[] = [{ kind: 'embed', weight: embedding, scale: 1, to: hidden }]
  for (let i = 0; i < layers; i++) {
    const members = [{ weight: await matrix(WIDTH), bias: undefined, parts: [{ row: 0, to: inner }] }]
    ops.push(
      { kind: 'project', from: hidden, norm: undefined, members },
      {
        kind: 'residual',
        from: inner,
        weight: await matrix(WIDTH),
        bias: undefined,
        norm: undefined,
        scale: 1,
        hidden,
      },
    )
  }
  ops.push({ kind: 'head', from: hidden, norm: undefined, weight: embedding, scale: 1, softcap: undefined })
  const program = await backend.program(ops)
  const state = backend.state([])
  const draws = new Array<number>(tokens).fill(0)
  const run = () =>
    program.sample({ ids: [1], state, length: 4 * tokens }, { options: {}, previous: [], draws })
  await run()
  const start = performance.now()
  await run()
  const time = (performance.now() - start) / tokens
  for (const held of [program, state, ...made]) held[Symbol.dispose]()
  return time
}

/** A trellis code of two rates. */
function trellisOf(rows: number, cols: number, word: (i: number) => number): EncodedMatrix {
  const bits = 2.5 + 2 / cols
  const tiles = cols / 16
  const rates = new Uint8Array(tiles).fill(10).fill(11, tiles - Math.round(4 * tiles * bits) + 10 * tiles)
  const words = Uint32Array.from({ length: trellisWords(rows, cols, bits) }, (_, i) => word(i))
  return {
    ...{ codec: 'trellis', params: { bits, stateBits: 10 }, shape: [rows, cols] },
    parts: {
      rates: tensor('U8', [tiles], rates),
      codes: tensor('U32', [words.length], words),
      scales: tensor('F32', [1, 1], Float32Array.of(1)),
    },
  }
}

function rotatedTrellis(rows: number, cols: number): EncodedMatrix {
  const inner = trellisOf(rows, cols, () => 0)
  const parts = { seed: tensor('U32', [1], Uint32Array.of(7)) }
  return { codec: 'rotation', params: { inner: inner.params }, shape: [rows, cols], parts, inner }
}
