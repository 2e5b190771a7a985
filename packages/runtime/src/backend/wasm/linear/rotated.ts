import {
  factorMatrix,
  type HadamardFactor,
  hadamardPlan,
  type Pointer,
  rotationSigns,
} from '@reallm/kernels/inference'
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
  const side = (name: 'input' | 'output', width: number) =>
    sides[name] ? rotationOf(engine, rotationSigns(seed, name, width)) : undefined
  const [input, output] = [side('input', cols), side('output', rows)]
  const rotated = input && engine.derived('rotated input', cols)
  const unrotated = output && engine.scratch('rotated output', rows)

  return {
    rows,
    cols,
    multiplyAdds: inner.multiplyAdds + (sides.input ? turning(cols) : 0) + (sides.output ? turning(rows) : 0),
    bytes: inner.bytes + 4 * ((sides.input ? cols : 0) + (sides.output ? rows : 0)),
    apply(x: Activations, y: Pointer, ldy: number, tokens: number, accumulate: boolean) {
      let rotatedInput = x
      if (input && rotated) {
        rotatedInput = rotated.of(x, seed, ({ at }) => {
          kernels.rotate(x.at, at, cols, tokens, cols, input.signs, 1, 0, ...input.factors)
        })
      }
      if (!output || !unrotated) return inner.apply(rotatedInput, y, ldy, tokens, accumulate)
      const out = unrotated.at
      inner.apply(rotatedInput, out, rows, tokens, false)
      kernels.rotate(out, y, ldy, tokens, rows, output.signs, 0, accumulate ? 1 : 0, ...output.factors)
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
      if (input) kernels.rotate(out, out, cols, 1, cols, input.signs, 0, 0, ...input.factors)
    },
    dispose() {
      inner.dispose()
      for (const one of [input, output]) if (one) arena.free(one.signs)
    },
  }
}

/** Signs, then n log n additions, or n · size MACs for the factors that are no power of two. */
const turning = (width: number): number =>
  hadamardPlan(width).reduce(
    (sum, { kind, size }) => sum + width * (kind === 'sylvester' ? Math.log2(size) : size),
    width,
  )

interface Rotation {
  /** Signs, times the scale of what is ±1 in the factors. */
  readonly signs: Pointer
  /** The last arguments of `kernels.rotate`: factors, their count, scratch and its bytes per thread. */
  readonly factors: readonly [Pointer, number, Pointer, number]
}

/** What the kernel takes to rotate by `signs`. */
function rotationOf(engine: Engine, signs: Float32Array): Rotation {
  const width = signs.length
  const plan = hadamardPlan(width)
  const hadamards = plan.filter(({ kind }) => kind !== 'dct')
  const scale = 1 / Math.sqrt(hadamards.reduce((product, { size }) => product * size, 1))
  const factors = engine.constant(`factors ${width}`, () => {
    let inner = width
    return Uint32Array.from(
      plan.flatMap(factor => {
        inner /= factor.size
        return [factor.size, inner, factor.kind === 'sylvester' ? 0 : matrixOf(engine, factor)]
      }),
    )
  })
  const most = 32 * Math.max(...plan.map(({ size }) => size))
  const scratch = engine.constant(`column ${most}`, () => new Uint8Array(most * engine.inference.threads))
  return {
    signs: engine.upload(signs.map(sign => sign * scale)),
    factors: [factors, plan.length, scratch, most],
  }
}

const matrixOf = (engine: Engine, factor: HadamardFactor): Pointer =>
  engine.constant(`${factor.kind} ${factor.size}`, () =>
    factor.kind === 'dct' ? factorMatrix(factor) : factorMatrix(factor).map(Math.sign),
  )
