import { factorMatrix, hadamardPlan, type Pointer, rotationSigns } from '@reallm/kernels/inference'
import { ReallmError } from '@reallm/tensor-io'
import { readSeed, rotationLayout } from '@reallm/tensor-io/layouts/rotation'
import type { Activations, Engine } from '../engine.ts'
import type { Linear } from './linear.ts'
import { wrapperRunner } from './runner.ts'

export const rotation = wrapperRunner(rotationLayout, (engine, e, inner) =>
  rotatedLinear(engine, inner, readSeed(e), e.params),
)

interface RotationSides {
  readonly input: boolean
  readonly output: boolean
}

/**
 * A matrix whose stored form is rotated by signs and Hadamard transforms: `W = S_out T W' T S_in`. The activations are
 * rotated instead of the weights, once for all matrices of one input that have the same seed.
 */
function rotatedLinear(engine: Engine, inner: Linear, seed: number, sides: RotationSides): Linear {
  const { kernels, arena } = engine
  const { rows, cols } = inner
  const inputSigns = sides.input ? engine.upload(rotationSigns(seed, 'input', cols)) : undefined
  const outputSigns = sides.output ? engine.upload(rotationSigns(seed, 'output', rows)) : undefined

  return {
    rows,
    cols,
    multiplyAdds: inner.multiplyAdds + (sides.input ? turning(cols) : 0) + (sides.output ? turning(rows) : 0),
    bytes: inner.bytes + 4 * ((sides.input ? cols : 0) + (sides.output ? rows : 0)),
    apply(x: Activations, y: Pointer, ldy: number, tokens: number, accumulate: boolean) {
      let rotatedInput = x
      if (inputSigns !== undefined) {
        rotatedInput = engine.derived('rotated input', x, seed, ({ at }) => {
          kernels.multiplyRows(x.at, inputSigns, at, cols, tokens, cols, 0)
          transform(engine, at, tokens, cols)
        })
      }
      if (outputSigns === undefined) return inner.apply(rotatedInput, y, ldy, tokens, accumulate)
      const out = engine.scratch('rotated output', rows).at
      inner.apply(rotatedInput, out, rows, tokens, false)
      transform(engine, out, tokens, rows)
      kernels.multiplyRows(out, outputSigns, y, ldy, tokens, rows, accumulate ? 1 : 0)
    },
    row(index, out, factor) {
      if (sides.output) {
        throw new ReallmError(
          'unsupported',
          `rows of a [${rows}×${cols}] matrix that is rotated on both sides cannot be read`,
          {
            hint: 'embeddings are rotated on the input side alone: rotated(codec, { output: false })',
          },
        )
      }
      inner.row(index, out, factor)
      if (inputSigns === undefined) return
      transform(engine, out, 1, cols)
      kernels.multiplyRows(out, inputSigns, out, cols, 1, cols, 0)
    },
    dispose() {
      inner.dispose()
      for (const signs of [inputSigns, outputSigns]) if (signs !== undefined) arena.free(signs)
    },
  }
}

/** Signs, then n log n additions, or n · size MACs for the factors that are no power of two. */
const turning = (width: number): number =>
  hadamardPlan(width).reduce(
    (sum, { kind, size }) => sum + width * (kind === 'sylvester' ? Math.log2(size) : size),
    width,
  )

/** The orthogonal transform of each of `count` rows of `width` floats, in place; it is its own inverse. */
function transform(engine: Engine, x: Pointer, count: number, width: number): void {
  const { kernels } = engine
  let inner = width
  for (const factor of hadamardPlan(width)) {
    const { kind, size } = factor
    inner /= size
    if (kind === 'sylvester') kernels.butterflies(x, count, width, size, inner)
    else {
      const matrix = engine.constant(`${kind} ${size}`, () => factorMatrix(factor))
      const scratch = engine.constant(
        `column ${size}`,
        () => new Float32Array(8 * size * engine.inference.threads),
      )
      kernels.mixDense(x, count, width, size, inner, matrix, scratch)
    }
  }
}
