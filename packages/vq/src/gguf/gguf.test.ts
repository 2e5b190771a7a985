import { outputError } from '@reallm/kernels'
import { type EncodedMatrix, zeroMatrix } from '@reallm/tensor-io'
import { conformance } from '@reallm/tensor-io/conformance'
import { ggufBlockType } from '@reallm/tensor-io/layouts'
import { correlatedHessian, normals } from '@reallm/testing'
import { describe, expect, it } from 'vitest'
import { withFeedback } from '../transforms/index.ts'
import { gguf } from './index.ts'

for (const [type, gaussian, real] of [
  ['Q1_0', 0.4, 0.6],
  ['Q2_0', 0.15, 0.2],
  ['Q4_0', 0.01, 0.01],
  ['Q4_1', 0.01, 0.01],
  ['Q5_0', 0.003, 0.003],
  ['Q5_1', 0.003, 0.003],
  ['Q8_0', 0.0001, 0.0001],
  ['IQ4_NL', 0.01, 0.01],
  ['MXFP4', 0.02, 0.02],
  ['Q2_K', 0.15, 0.2],
  ['Q3_K', 0.04, 0.05],
  ['Q4_K', 0.01, 0.01],
  ['Q5_K', 0.003, 0.003],
  ['Q6_K', 0.001, 0.001],
  ['IQ4_XS', 0.01, 0.01],
  ['IQ2_XXS', 0.15, 0.25],
  ['IQ2_XS', 0.12, 0.2],
  ['IQ2_S', 0.12, 0.2],
  ['IQ3_XXS', 0.05, 0.06],
  ['IQ3_S', 0.04, 0.05],
  ['IQ1_S', 0.3, 0.5],
  ['IQ1_M', 0.3, 0.5],
  ['TQ1_0', 0.3, 0.4],
  ['TQ2_0', 0.3, 0.4],
] as const) {
  const { block } = ggufBlockType(type)
  conformance(
    { describe, it },
    {
      codec: gguf,
      block,
      cases: [{ params: { type }, gaussian, real }],
      badShape: { shape: [4, block + 8], params: { type }, says: new RegExp(`${block} does not divide`) },
    },
  )
}

const w = normals(40, 512, 1)
const hessian = correlatedHessian(512, 2)
const lossOf = (e: EncodedMatrix) => outputError(w, gguf.decode(e), { hessian })

it.each(['Q4_0', 'Q5_1', 'IQ4_NL', 'Q2_K', 'Q3_K', 'Q6_K', 'IQ4_XS', 'IQ2_XS', 'IQ3_S', 'IQ1_M'] as const)(
  '%s: error feedback lowers the output error by half or more',
  async type => {
    const plain = await gguf.encode(w, { type }, { hessian, seed: 1 })
    const fed = await withFeedback(gguf).encode(w, { type }, { hessian, seed: 1 })
    expect(lossOf(fed)).toBeLessThan(0.5 * lossOf(plain))
  },
)

it('chooses scales for the columns that matter', async () => {
  const diagonal = zeroMatrix(512, 512)
  for (let i = 0; i < 512; i++) diagonal.data[i * 513] = i % 32 < 8 ? 100 : 1
  const loss = (e: EncodedMatrix) => outputError(w, gguf.decode(e), { hessian: diagonal })
  for (const type of ['Q2_0', 'Q2_K', 'IQ4_NL'] as const) {
    const blind = await gguf.encode(w, { type }, { seed: 1 })
    const seeing = await gguf.encode(w, { type }, { seed: 1, hessian: diagonal })
    expect(loss(seeing)).toBeLessThan(0.9 * loss(blind))
  }
})

it('refuses weights whose scales no half float holds, and types that are only read', async () => {
  const huge = { rows: 1, cols: 32, data: new Float32Array(32).fill(1e7) }
  await expect(gguf.encode(huge, { type: 'Q4_0' }, { seed: 1 })).rejects.toThrow(/does not fit a half float/)
  const wide = { rows: 1, cols: 64, data: new Float32Array(64) }
  await expect(gguf.encode(wide, { type: 'NVFP4' }, { seed: 1 })).rejects.toThrow(
    /NVFP4 is read, but not written/,
  )
})
