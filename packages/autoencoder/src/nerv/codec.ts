import { nervForward } from '@reallm/kernels'
import {
  f16ToF32,
  type Matrix,
  type MatrixCodec,
  type MatrixShape,
  packBits,
  packedBytes,
  ReallmError,
  tensor,
  unpackBits,
  zeroMatrix,
} from '@reallm/tensor-io'
import { checkWeights, storedPart } from '../checks.ts'
import { packWeights, unpackWeights, weightsCost } from '../decoder-weights.ts'
import { absmaxScales, fromPatches, inverseScales, patchCount, scalePatches, toPatches } from '../patches.ts'
import { layerShapes, type NervParams, nervParams } from './params.ts'
import { trainNerv } from './train-nerv.ts'

/**
 * The residual autoencoder of ReALLM §3.3: a matrix as image patches, latents E on b bits, a convolutional decoder D_φ
 * whose weights take b_φ bits, one scale per patch. `bits per weight ≈ b·latentWidth / 4^stages` + decoder.
 *
 * @example
 * const stored = await autoencoder.encode(w, autoencoder.params.parse({ latentWidth: 8, stages: 2 }), { seed: 1 })
 */
export const autoencoder: MatrixCodec<NervParams> = {
  name: 'autoencoder',
  params: nervParams,

  cost(shape, params) {
    check(shape, params)
    return {
      latents: { dtype: 'U8', shape: [packedBytes(latentCount(shape, params), params.latentBits)] },
      scales: { dtype: 'F16', shape: [patchCount(shape, params.patch)] },
      ...weightsCost(layerShapes(params), params.weightBits),
    }
  },

  async encode(w, params, ctx) {
    const shape = [w.rows, w.cols] as const
    check(shape, params)
    checkWeights(w)
    const patches = toPatches(w, params.patch)
    const scales = absmaxScales(patches)
    const importance =
      params.weighted && ctx.hessian
        ? importanceOf(shape, params.patch, f16ToF32(scales), ctx.hessian)
        : undefined
    const { codes, layers } = await trainNerv(
      scalePatches(patches, inverseScales(scales)),
      importance,
      params,
      ctx,
    )
    return {
      codec: 'autoencoder',
      params,
      shape,
      parts: {
        latents: tensor(
          'U8',
          [packedBytes(codes.length, params.latentBits)],
          packBits(codes, params.latentBits),
        ),
        scales: tensor('F16', [scales.length], scales),
        ...packWeights(layers, params.weightBits),
      },
    }
  },

  decode(e): Matrix {
    const params = nervParams.parse(e.params)
    const cost = this.cost(e.shape, params)
    const [stem, ...rest] = unpackWeights(e, layerShapes(params), params.weightBits)
    const head = rest.pop()!
    const count = patchCount(e.shape, params.patch)
    const side = params.patch / 2 ** params.stages
    const codes = unpackBits(
      storedPart(e, 'latents', cost) as Uint8Array,
      params.latentBits,
      latentCount(e.shape, params),
    )
    const last = 2 ** params.latentBits - 1
    const latents = {
      count,
      height: side,
      width: side,
      channels: params.latentWidth,
      data: Float32Array.from(codes, code => (2 * code) / last - 1),
    }
    const patches = nervForward(latents, { stem, stages: rest, head })
    return fromPatches(scalePatches(patches, f16ToF32(storedPart(e, 'scales', cost) as Uint16Array)), e.shape)
  },
}

const latentCount = (shape: MatrixShape, { patch, stages, latentWidth }: NervParams): number =>
  patchCount(shape, patch) * (patch / 2 ** stages) ** 2 * latentWidth

function check([rows, cols]: MatrixShape, { patch, stages }: NervParams): void {
  if (rows < 1 || cols < 1)
    throw new ReallmError('bad-option', `a [${rows}×${cols}] matrix holds nothing to encode`)
  if (patch / 2 ** stages < 1) {
    throw new ReallmError(
      'bad-option',
      `[${rows}×${cols}]: patches of ${patch} cannot be halved ${stages} times`,
      {
        hint: `use at most ${Math.log2(patch)} stages, or larger patches`,
      },
    )
  }
}

/** Weight of each pixel's squared error: diag(H) of its column, times the square of what the patch was divided by. */
function importanceOf(
  [rows, cols]: MatrixShape,
  side: number,
  scales: Float32Array,
  hessian: Matrix,
): Float32Array {
  const spread = zeroMatrix(rows, cols)
  for (let i = 0; i < spread.data.length; i++) spread.data[i] = hessian.data[(i % cols) * (cols + 1)]
  return scalePatches(
    toPatches(spread, side),
    scales.map(s => s * s),
  ).data
}
