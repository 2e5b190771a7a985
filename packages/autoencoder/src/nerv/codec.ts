import { nervForward } from '@reallm/kernels'
import { decodeNerv } from '@reallm/kernels/decode/nerv'
import {
  defineCodec,
  type EncodedMatrix,
  f16ToF32,
  type GivenOf,
  type Matrix,
  type MatrixShape,
  parseParams,
  ReallmError,
  type Tensor,
  tensor,
  zeroMatrix,
} from '@reallm/tensor-io'
import {
  type AutoencoderParams,
  autoencoderLayers,
  autoencoderLayout,
  latentPlaces,
  packLatents,
  readLayers,
} from '@reallm/tensor-io/layouts'
import { packLayers } from '../pack-layers.ts'
import { absmaxScales, inverseScales, scalePatches, toPatches } from '../patches.ts'
import type { TrainingContext } from './train-nerv.ts'

/** What a caller may give of the parameters of `autoencoder`; the rest has defaults. */
export type NervInput = GivenOf<typeof autoencoderLayout>
/** Parameters of `autoencoder`, as they are stored. */
export type NervParams = AutoencoderParams

/**
 * The residual autoencoder (ReALLM, arXiv 2405.13155 §3.3): a matrix as image patches, latents E of b bits, a convolutional
 * decoder D_φ with weights of b_φ bits, one scale per patch. `bits per weight ≈ b·latentWidth / 4^stages` + decoder.
 *
 * @example
 * const stored = await autoencoder.encode(w, { latentWidth: 8, stages: 2 }, { seed: 1 })
 */
export const autoencoder = autoencoderOf(undefined)

/** Parts that are the same for all matrices of one decoder: φ, and the grid of the latents. */
export const sharedParts = ['latentBits', 'latentGains', 'weights', 'weight_scales', 'biases'] as const
/** A decoder that was fitted once for several matrices. */
export type SharedDecoder = Readonly<Record<(typeof sharedParts)[number], Tensor>>

/**
 * The same codec with a decoder that `fitDecoder` fitted to a group of matrices. Each matrix stores the same tensors, which an
 * artifact holds once.
 *
 * @example
 * const decoder = await fitDecoder(queries, params, { seed: 1 })
 * const stored = await autoencoderWith(decoder).encode(queries[0], params, { seed: 1 })
 */
export const autoencoderWith = (decoder: SharedDecoder) => autoencoderOf(decoder)

/**
 * Fits a decoder to all matrices of a group at once.
 *
 * @throws ReallmError `bad-option` with `start: 'encoder'`, whose encoder is not kept
 */
export async function fitDecoder(
  group: readonly Matrix[],
  given: NervInput,
  ctx: GroupContext,
): Promise<SharedDecoder> {
  const params = parseParams(autoencoderLayout, given)
  if (params.start === 'encoder') {
    throw new ReallmError(
      'bad-option',
      'a decoder for later matrices needs latents that are principal components',
      {
        hint: "use start: 'principal', or encodeGroup",
      },
    )
  }
  const [{ latentBits, latentGains, weights, weight_scales, biases }] = await encodeAll(group, params, ctx)
  return { latentBits, latentGains, weights, weight_scales, biases }
}

function autoencoderOf(shared: SharedDecoder | undefined) {
  return defineCodec({
    layout: autoencoderLayout,
    async encode(w, params, ctx) {
      const hessians = ctx.hessian ? [ctx.hessian] : []
      const [parts] = await encodeAll([w], params, { ...ctx, hessians }, shared)
      return { parts }
    },
    decode: e => decodeNerv(e, nervForward),
  })
}

/** What fitting a decoder for several matrices needs besides them. */
export interface GroupContext extends TrainingContext {
  /** `H` of each matrix's inputs, `[in, in]`, for `weighted`. */
  readonly hessians?: readonly Matrix[] | undefined
}

/**
 * Trains one decoder for a group of similar matrices (all `q_proj`, say). All results hold the same tensors of φ and of the
 * latents' grid, which an artifact stores once.
 *
 * @example
 * const stored = await encodeGroup(queries, { stages: 2 }, { seed: 1 })
 */
export async function encodeGroup(
  group: readonly Matrix[],
  given: NervInput,
  ctx: GroupContext,
): Promise<EncodedMatrix<NervParams>[]> {
  const params = parseParams(autoencoderLayout, given)
  const parts = await encodeAll(group, params, ctx)
  return group.map((w, i) => ({
    codec: autoencoderLayout.codec,
    params,
    shape: [w.rows, w.cols],
    parts: parts[i],
  }))
}

async function encodeAll(
  group: readonly Matrix[],
  params: NervParams,
  { hessians = [], ...ctx }: GroupContext,
  shared?: SharedDecoder,
): Promise<Record<string, Tensor>[]> {
  const members = group.map((w, i) => {
    const shape = [w.rows, w.cols] as const
    const patches = toPatches(w, params.patch)
    const scales = absmaxScales(patches, params.scaling === 'matrix')
    return {
      shape,
      scales,
      patches: scalePatches(patches, inverseScales(scales)),
      importance: importanceOf(
        shape,
        params.patch,
        f16ToF32(scales),
        params.weighted ? hessians[i] : undefined,
      ),
    }
  })
  // Loaded on demand: what only decodes needs no training.
  const { trainNerv } = await import('./train-nerv.ts')
  const { codes, grid, layers } = await trainNerv(
    {
      ...members[0].patches,
      count: members.reduce((sum, m) => sum + m.patches.count, 0),
      data: joined(members.map(m => m.patches.data)),
    },
    joined(members.map(m => m.importance)),
    params,
    ctx,
    shared && {
      grid: {
        bits: shared.latentBits.data as Uint8Array<ArrayBuffer>,
        gains: shared.latentGains.data as Uint16Array<ArrayBuffer>,
      },
      layers: readLayers(shared, autoencoderLayers(params), params.weightBits),
    },
  )
  const decoder: Record<string, Tensor> = shared ?? {
    latentBits: tensor('U8', [grid.bits.length], grid.bits),
    latentGains: tensor('F16', [grid.gains.length], grid.gains),
    ...packLayers(layers, params.weightBits),
  }
  let at = 0
  return members.map(({ shape, scales }) => {
    const count = latentPlaces(shape, params) * params.latentWidth
    const latents = packLatents(codes.subarray(at, at + count), grid.bits)
    at += count
    return {
      latents: tensor('U8', [latents.length], latents),
      scales: tensor('F16', [scales.length], scales),
      ...decoder,
    }
  })
}

/** Weight of each pixel's squared error: the square of its patch's scale, times diag(H) of its column. */
function importanceOf(
  [rows, cols]: MatrixShape,
  side: number,
  scales: Float32Array,
  hessian: Matrix | undefined,
): Float32Array {
  const spread = zeroMatrix(rows, cols)
  for (let i = 0; i < spread.data.length; i++)
    spread.data[i] = hessian ? hessian.data[(i % cols) * (cols + 1)] : 1
  return scalePatches(
    toPatches(spread, side),
    scales.map(s => s * s),
  ).data
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
