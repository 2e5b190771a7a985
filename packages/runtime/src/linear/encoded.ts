import { type EncodedMatrix, ReallmError, type Tensor, toFloat32 } from '@reallm/tensor-io'
import type { Engine } from '../engine.ts'
import { codedLinear, codedMatrix, codedRows, exactCodes } from './codes.ts'
import type { Linear, LinearWriter } from './linear.ts'
import { lowRankLinear, storedFactors } from './low-rank.ts'
import { monarchLinear, storedMonarch } from './monarch.ts'
import { nervRows } from './neural.ts'
import { rotatedLinear } from './rotated.ts'
import { scaledLinear } from './scaled.ts'
import type { StoredRows } from './stored-rows.ts'
import { exactTrellis, trellisLinear, trellisMatrix, trellisRows } from './trellis.ts'

/** How base codecs are held, and the writer for those that are expanded with some loss. */
export interface EncodedForm {
  readonly form: 'packed' | 'exact' | 'written'
  writer(rows: number, cols: number): LinearWriter
}

/** Codecs that this package runs by itself. */
const known = [
  'autoencoder',
  'grid',
  'kmeans',
  'lowrank',
  'lowrank-residual',
  'lplr',
  'monarch',
  'monarch-residual',
  'normalfloat',
  'rom',
  'rotation',
  'row-scaled',
  'scaling',
  'trellis',
]

/** Floats decoded at a time. */
const STAGED = 1 << 18

interface Described {
  readonly codec: string
  readonly params: unknown
  readonly inner?: Described | undefined
}

/** Whether a stored matrix, wrappers included, can be run without a registry. */
export const isKnown = ({ codec, params, inner }: Described): boolean =>
  known.includes(codec) &&
  !(codec === 'kmeans' && (params as { permute?: boolean }).permute) &&
  (inner === undefined || isKnown(inner))

/**
 * A stored matrix, ready to run: rotations turn the activations, low-rank parts are applied as `L₁ (L₂ x)`, codes are
 * decoded at each use (`packed`), held as integers without loss (`exact`), or written anew (`written`, and wherever
 * the wanted form is not possible).
 */
export function encodedLinear(engine: Engine, e: EncodedMatrix, options: EncodedForm): Linear {
  const params = e.params as { rank: number; bits: number; input?: boolean; output?: boolean }
  const inner = () => encodedLinear(engine, e.inner!, options)
  const uploaded = (factors: Tensor | undefined) => factors && engine.upload(toFloat32(factors))
  switch (e.codec) {
    case 'rotation': {
      const [seed] = e.parts.seed.data as Uint32Array
      return rotatedLinear(engine, inner(), seed, {
        input: params.input ?? true,
        output: params.output ?? true,
      })
    }
    case 'row-scaled':
      return scaledLinear(engine, inner(), { rows: uploaded(e.parts.row_scale) })
    case 'scaling':
      return scaledLinear(engine, inner(), {
        rows: uploaded(e.parts.rowScales),
        cols: uploaded(e.parts.colScales),
      })
    case 'lowrank-residual':
      return params.rank === 0
        ? inner()
        : lowRankLinear(engine, inner(), e.shape, storedFactors(e.parts, e.shape, params))
    case 'lowrank':
    case 'lplr':
    case 'rom':
      return lowRankLinear(engine, undefined, e.shape, storedFactors(e.parts, e.shape, params))
    case 'monarch-residual':
      return monarchLinear(engine, inner(), e.shape, storedMonarch(e))
    case 'monarch':
      return monarchLinear(engine, undefined, e.shape, storedMonarch(e))
    case 'autoencoder':
      return written(engine, e, nervRows(engine, e), options)
    case 'trellis': {
      const m = trellisMatrix(e)
      if (options.form === 'packed') return trellisLinear(engine, m)
      return (
        (options.form === 'exact' && exactTrellis(engine, m)) || written(engine, e, trellisRows(m), options)
      )
    }
    default: {
      const m = codedMatrix(e)
      if (!m) throw new ReallmError('unsupported', `the codec ${e.codec} needs a registry to run`)
      if (options.form === 'packed') return codedLinear(engine, m)
      return (options.form === 'exact' && exactCodes(engine, m)) || written(engine, e, codedRows(m), options)
    }
  }
}

function written(engine: Engine, e: EncodedMatrix, rowsOf: StoredRows, options: EncodedForm): Linear {
  const [rows, cols] = e.shape
  const step = Math.max(1, Math.floor(STAGED / cols))
  const staging = engine.allocateFloats(step * cols)
  const writer = options.writer(rows, cols)
  const values = new Float32Array(step * cols)
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step)
    rowsOf(from, to, values)
    engine.arena.floats(staging, values.length).set(values)
    writer.write(staging, to - from)
  }
  engine.arena.free(staging)
  return writer.finish()
}
