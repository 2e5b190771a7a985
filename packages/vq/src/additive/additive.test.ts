import { matmul, outputError } from '@reallm/kernels'
import { conformance, normals } from '@reallm/tensor-io/conformance'
import { describe, expect, it } from 'vitest'
import { additive } from './index.ts'

conformance(
  { describe, it },
  {
    codec: additive,
    cases: [
      {
        params: { codebooks: 2, codebookBits: 5, rounds: 2, refine: 1, beam: 4 },
        gaussian: 0.27,
        real: 0.35,
      },
      { params: { codebooks: 2, codebookBits: 8, rounds: 2, beam: 4 }, gaussian: 0.1, real: 0.15 },
      { params: { codebooks: 3, codebookBits: 5, dim: 4, rounds: 2, beam: 2 }, gaussian: 0.025, real: 0.04 },
    ],
    skip: { 'bad shape': 'every shape fits' },
  },
)

describe('additive', () => {
  it('refines codes, codebooks and scales under H', async () => {
    const w = normals(64, 60, 1)
    const x = normals(300, 60, 2)
    for (let i = 0; i < x.data.length; i++) if (i % 60 > 0) x.data[i] += 0.8 * x.data[i - 1]
    const hessian = matmul(x, x, { transposeA: true })
    const error = async (refine: number) => {
      const e = await additive.encode(w, { codebookBits: 6, rounds: 4, refine }, { seed: 1, hessian })
      return outputError(w, additive.decode(e), { hessian })
    }
    expect(await error(3)).toBeLessThan(0.6 * (await error(0)))
  })

  it('refuses more codewords than fit in memory', () => {
    expect(() => additive.cost([8, 8], { codebooks: 2, codebookBits: 12 })).toThrow(/at most 4096/)
  })
})
