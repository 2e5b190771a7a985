import type { GatedMlp, MixtureOfExperts } from '@reallm/tensor-io/models'
import fc from 'fast-check'
import type { Expert } from '../../src/backend/op.ts'
import { type Case, eps, inOrder, module, projection } from './cases.ts'
import type { Weights } from './programs.ts'

const width = fc.integer({ min: 1, max: 20 }).map(n => 4 * n)

/** Mixtures of experts: of all or of the chosen, with biases, norms, clamped gates and an expert that all share. */
export const mixtures: fc.Arbitrary<Case> = fc
  .record({
    hidden: width,
    inner: width,
    count: fc.integer({ min: 2, max: 6 }),
    chosen: fc.integer({ min: 1, max: 2 }),
    softmaxOver: fc.constantFrom('chosen' as const, 'all' as const),
    clamp: fc.constantFrom(undefined, { alpha: 1.7, limit: 1 }),
    isShared: fc.boolean(),
    bias: fc.boolean(),
    norms: fc.boolean(),
  })
  .map(({ hidden, inner, count, chosen, softmaxOver, clamp, isShared, bias, norms }): Case => {
    const slot = { width: hidden }
    const [gate, up] = [{ width: inner }, { width: inner }]
    const mlp: GatedMlp = {
      ...{ kind: 'gated-mlp', activation: 'silu', clamp, width: inner },
      ...{ gate: projection, up: projection, down: module },
    }
    const spec: MixtureOfExperts = {
      ...{ kind: 'experts', router: module, chosen, softmaxOver, stacks: [] },
      ...{ experts: Array.from({ length: count }, () => mlp), shared: isShared ? mlp : undefined },
    }
    const expert = async (weights: Weights): Promise<Expert> => {
      const members = await inOrder([gate, up], async to => ({
        weight: await weights.matrix(inner, hidden),
        bias: bias ? weights.vector(inner) : undefined,
        parts: [{ row: 0, to }],
      }))
      const weight = await weights.matrix(hidden, inner)
      return { members, gate, up, spec: mlp, weight, bias: bias ? weights.vector(hidden) : undefined }
    }
    return {
      input: slot,
      output: slot,
      ops: async weights => {
        const norm = () => (norms ? { weight: weights.vector(hidden), eps } : undefined)
        const router = {
          weight: await weights.matrix(count, hidden),
          bias: bias ? weights.vector(count) : undefined,
        }
        const experts = await inOrder(spec.experts, () => expert(weights))
        const shared = isShared ? await expert(weights) : undefined
        return [
          {
            ...{ kind: 'experts', spec, router, experts, shared, scale: 0.7, hidden: slot },
            ...{ norm: norm(), after: norm() },
          },
        ]
      },
    }
  })
