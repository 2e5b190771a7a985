import { hadamard, rotationSigns } from '@reallm/kernels'
import {
  type CodecWrapper,
  copyMatrix,
  defineCodec,
  type EncodeContext,
  type GivenOf,
  type Matrix,
  type MatrixCodec,
  type ParamsOf,
  seedFor,
  tensor,
  withDefaults,
} from '@reallm/tensor-io'
import { readSeed, rotationLayout } from '@reallm/tensor-io/layouts'

/** Options of `rotated`. */
export type RotationOptions = GivenOf<typeof rotationLayout>
/** Parameters of a rotated codec. */
export type RotatedParams<Inner> = RotationOptions & { readonly inner: Inner }

/**
 * Incoherence processing (QuIP#, arXiv 2402.04396 §3): random signs and a Hadamard rotation on both sides before the inner
 * codec, undone after it: `W' = T_out W T_inᵀ`, `H' = T_in H T_inᵀ`. Outliers spread over all entries, which become
 * Gaussian, so that one codebook fits every matrix. Stores a seed of 32 bits. `options` become the parameters' defaults.
 *
 * @example
 * const stored = await rotated(withFeedback(trellis)).encode(w, { inner: { bits: 3 } }, { hessian, seed: 1 })
 */
export function rotated<Inner>(
  codec: MatrixCodec<Inner>,
  options: RotationOptions = {},
): MatrixCodec<RotatedParams<Inner>> {
  const layout = withDefaults(rotationLayout, options)
  const made: MatrixCodec<RotatedParams<Inner>> = defineCodec({
    layout,
    inner: codec,
    async encode(w, { input, output, inner }, ctx) {
      const seed = seedFor(ctx.seed, 'rotation')
      const incoherent = rotate(w, seed, { input, output })
      return {
        parts: { seed: tensor('U32', [1], Uint32Array.of(seed)) },
        inner: await codec.encode(incoherent, inner, rotatedContext(ctx, seed, input, output)),
      }
    },
    decode(e, inner) {
      const seed = readSeed(e)
      const { input, output } = e.params
      const w = copyMatrix(codec.decode(inner))
      return rotateRows(rotateColumns(w, seed, input, true), seed, output, true)
    },
    decodeRows(e, inner, from, to) {
      const { input, output } = e.params
      const rows = output ? undefined : codec.decodeRows?.(inner, from, to)
      return rows && rotateColumns(copyMatrix(rows), readSeed(e), input, true)
    },
  })
  const { bands } = codec
  if (!bands) return made
  return {
    ...made,
    bands: {
      rows(params) {
        const { output, inner } = made.parse(params)
        return output ? undefined : bands.rows(inner)
      },
      join(encoded) {
        const inner = bands.join(encoded.map(band => band.inner!))
        const params = { ...(encoded[0].params as RotationOptions), inner: inner.params }
        return { ...encoded[0], params, shape: inner.shape, inner }
      },
    },
  }
}

/** `rotated` for the registry: decodes what any of them stored. */
export const rotation: CodecWrapper = { layout: rotationLayout, wrap: codec => rotated(codec) }

/** A copy of `w`, rotated as `rotated` hands it to the inner codec. */
export const rotate = (w: Matrix, seed: number, { input, output }: ParamsOf<typeof rotationLayout>): Matrix =>
  rotateRows(rotateColumns(copyMatrix(w), seed, input), seed, output)

function rotateColumns(w: Matrix, seed: number, on: boolean, inverse = false): Matrix {
  return on ? hadamard(w, { signs: rotationSigns(seed, 'input', w.cols), inverse }) : w
}

function rotateRows(w: Matrix, seed: number, on: boolean, inverse = false): Matrix {
  return on ? hadamard(w, { signs: rotationSigns(seed, 'output', w.rows), side: 'left', inverse }) : w
}

function rotatedContext(ctx: EncodeContext, seed: number, input: boolean, output: boolean): EncodeContext {
  const { hessian, outputHessian } = ctx
  const byInputs = hessian && input && conjugate(hessian, rotationSigns(seed, 'input', hessian.rows))
  const byOutputs =
    outputHessian && output && conjugate(outputHessian, rotationSigns(seed, 'output', outputHessian.rows))
  return {
    ...ctx,
    ...(byInputs && { hessian: byInputs }),
    ...(byOutputs && { outputHessian: byOutputs }),
    onHessianRead() {
      for (const rotated of [byInputs, byOutputs]) if (rotated) freeIfLarge(rotated)
      ctx.onHessianRead?.()
    },
  }
}

/** A matrix whose values can be freed and made again, so that it is the same to those who remember it. */
type Refillable = { -readonly [Key in keyof Matrix]: Matrix[Key] }

/** The last rotation of each Hessian: one matrix is often encoded several times under the same one. */
const conjugates = new WeakMap<Matrix, { readonly signs: Float32Array; readonly rotated: Refillable }>()

/** `T H Tᵀ`. */
function conjugate(hessian: Matrix, signs: Float32Array): Refillable {
  const found = conjugates.get(hessian)
  const known = found?.signs.every((sign, i) => sign === signs[i]) ? found.rotated : undefined
  if (known && known.data.length > 0) return known
  const { data } = hadamard(hadamard(copyMatrix(hessian), { signs }), { signs, side: 'left' })
  const rotated: Refillable = known ?? { ...hessian, data }
  rotated.data = data
  conjugates.set(hessian, { signs, rotated })
  return rotated
}

/** Sides of rotated Hessians that are made again rather than kept: it takes less than a hundredth of factorising them. */
const largeSide = 2048

function freeIfLarge(rotated: Refillable): void {
  if (rotated.rows > largeSide) rotated.data = new Float32Array(0)
}
