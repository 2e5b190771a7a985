import type { Attention, Norm, Rope } from '@reallm/tensor-io/models'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Backend } from '../../src/backend/backend.ts'
import type { Slot } from '../../src/backend/op.ts'
import type { WeightForm } from '../../src/backend/weight.ts'
import { type Case, eps, inOrder, module, project, projection } from './cases.ts'
import { distance } from './distance.ts'
import { mixtures } from './expert-ops.ts'
import { observing, VOCAB, Weights } from './programs.ts'
import { deltaRules, scans, shortConvs } from './recurrent-ops.ts'

/** The backends that are compared, and how close values have to be, relative to the largest. */
export interface Compared {
  readonly reference: Backend
  readonly backend: Backend
  readonly form: WeightForm
  readonly tolerance: number
}

const width = fc.integer({ min: 1, max: 40 }).map(n => 4 * n)
const tokens = fc.array(fc.integer({ min: 0, max: VOCAB - 1 }), { minLength: 1, maxLength: 20 })
/** Batches of one text, one after another. */
const batches = fc.array(tokens, { minLength: 1, maxLength: 3 })

/** Drives every op of a backend and compares what it computes with the reference, over shapes, tails, lengths and batches. */
export function opConformance(open: () => Compared): void {
  const property = (cases: fc.Arbitrary<Case>, numRuns = 15) =>
    fc.assert(
      fc.asyncProperty(cases, batches, (of, texts) => compare(open(), of, texts)),
      { numRuns, seed: 1 },
    )

  it('embeds, and reads logits', () =>
    property(width.map(width => ({ ...same({ width }), ops: async () => [] }))))

  it('chooses no token where logits are no numbers', async () => {
    const { backend, form } = open()
    const weights = new Weights(backend, form)
    using factors = backend.vector(new Float32Array(16).fill(Number.NaN))
    const hidden = { width: 16 }
    using program = await backend.program([
      { kind: 'embed', weight: await weights.embedding(16), scale: 1, to: hidden },
      {
        ...{ kind: 'head', from: hidden, norm: { weight: factors, eps }, scale: 1, softcap: undefined },
        weight: await weights.identity(16),
      },
    ])
    for (const options of [{}, { temperature: 1 }, { temperature: 0.7, topK: 4, topP: 0.9 }]) {
      using state = backend.state([])
      const choice = { options, previous: [], draws: [0.5] }
      const chosen = program.sample({ ids: [3], state, length: 2 }, choice)
      await expect(chosen).rejects.toMatchObject({ code: 'numeric' })
    }
    weights.dispose()
  })

  it('projects: norm, bias, and parts of a fused matrix', () =>
    property(
      fc
        .record({
          input: width,
          members: fc.array(fc.array(width, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }),
          norm: fc.boolean(),
          bias: fc.boolean(),
          observed: fc.nat(),
        })
        .map(({ input, members, norm, bias, observed }): Case => {
          const from = { width: input }
          const slots = members.map(widths => widths.map(width => ({ width })))
          const all = slots.flat()
          return {
            input: from,
            output: all[observed % all.length],
            ops: async weights => [
              {
                kind: 'project',
                from,
                norm: norm ? { weight: weights.vector(input), eps } : undefined,
                members: await inOrder(slots, async member => {
                  const rows = member.reduce((sum, { width }) => sum + width, 0)
                  let row = 0
                  const parts = member.map(to => ({ row: (row += to.width) - to.width, to }))
                  return {
                    weight: await weights.matrix(rows, input),
                    bias: bias ? weights.vector(rows) : undefined,
                    parts,
                  }
                }),
              },
            ],
          }
        }),
    ))

  it('multiplies gates', () =>
    property(
      fc
        .record({
          width,
          activation: fc.constantFrom('silu', 'gelu', 'gelu_pytorch_tanh'),
          inPlace: fc.boolean(),
        })
        .map(({ width, activation, inPlace }): Case => {
          const [from, gate, up] = [{ width: 16 }, { width }, { width }]
          const to = inPlace ? gate : { width }
          return {
            input: from,
            output: to,
            ops: async weights => [
              await project(weights, from, [gate, up]),
              { kind: 'gated-product', activation, gate, up, to },
            ],
          }
        }),
    ))

  it('adds to the hidden states', () =>
    property(
      fc
        .record({
          width,
          inner: width,
          norm: fc.boolean(),
          bias: fc.boolean(),
          scale: fc.constantFrom(1, 0.25),
        })
        .map(({ width, inner, norm, bias, scale }): Case => {
          const [hidden, from] = [{ width }, { width: inner }]
          return {
            ...same(hidden),
            ops: async weights => [
              await project(weights, hidden, [from]),
              {
                kind: 'residual',
                from,
                weight: await weights.matrix(width, inner),
                bias: bias ? weights.vector(width) : undefined,
                norm: norm ? { weight: weights.vector(width), eps } : undefined,
                scale,
                hidden,
              },
            ],
          }
        }),
    ))

  // every case compiles shaders of its own, on a GPU
  it('attends', { timeout: 300_000 }, () => property(attentions.map(attention), 40))

  it('convolves between two gates', () => property(shortConvs))

  it('runs mixtures of experts', () => property(mixtures, 30))

  it('runs the gated delta rule', () => property(deltaRules, 30))

  it('scans', () => property(scans, 30))
}

/** A case that observes what is embedded. */
const same = (slot: Slot) => ({ input: slot, output: slot })

const attentions = fc.record({
  kvHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.integer({ min: 1, max: 4 }),
  headDim: fc.constantFrom(4, 8, 12, 16, 20, 32, 64, 80),
  window: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  softcap: fc.option(fc.constantFrom(1, 30), { nil: undefined }),
  rope: fc.constantFrom('none', 'whole', 'partial', 'interleaved', 'temperature'),
  norm: fc.constantFrom('none', 'head', 'whole', 'after rope'),
  gated: fc.boolean(),
})

type AttentionOf<T> = T extends fc.Arbitrary<infer A> ? A : never

function attention({
  kvHeads,
  group,
  headDim,
  window,
  softcap,
  rope,
  norm,
  gated,
}: AttentionOf<typeof attentions>): Case {
  const heads = kvHeads * group
  const [from, to] = [{ width: 24 }, { width: heads * headDim }]
  const query = { width: gated ? 2 * to.width : to.width }
  const [key, value] = [{ width: kvHeads * headDim }, { width: kvHeads * headDim }]
  const norms = (width: number): Norm => ({ name: 'unused', width, eps, offset: 0 })
  const widths = norm === 'whole' ? [to.width, key.width] : [headDim, headDim]
  const spec: Attention = {
    ...{
      kind: 'attention',
      heads,
      kvHeads,
      headDim,
      window,
      softcap,
      scale: headDim ** -0.5,
      gated,
      sinks: undefined,
    },
    ...{ query: projection, key: projection, value: projection, output: module },
    qkNorm:
      norm === 'none'
        ? undefined
        : { query: norms(widths[0]), key: norms(widths[1]), afterRope: norm === 'after rope' },
    rope: ropeOf(rope, headDim),
  }
  return {
    input: from,
    output: to,
    mixers: [spec],
    ops: async weights => [
      await project(weights, from, [query, key, value]),
      {
        ...{ kind: 'attend', spec, layer: 0, query, key, value, to },
        norms: spec.qkNorm && {
          query: { weight: weights.vector(widths[0]), eps },
          key: { weight: weights.vector(widths[1]), eps },
        },
      },
    ],
  }
}

function ropeOf(kind: string, headDim: number): Rope | undefined {
  if (kind === 'none') return undefined
  const pairs = kind === 'partial' ? Math.ceil(headDim / 8) : headDim / 2
  return {
    inverseFrequencies: Array.from({ length: pairs }, (_, j) => 100 ** (-j / pairs)),
    scale: 1,
    interleaved: kind === 'interleaved',
    ...(kind === 'temperature' ? { temperature: { beta: 0.1, every: 4 } } : {}),
  }
}

/** Reads texts batch by batch on both backends, goes back and reads the first again. */
async function compare(
  { reference, backend, form, tolerance }: Compared,
  { input, output, mixers = [], ops }: Case,
  texts: readonly (readonly number[])[],
): Promise<void> {
  async function values(on: Backend, form: WeightForm): Promise<number[]> {
    const weights = new Weights(on, form)
    using program = await observing(on, weights, { input, ops: await ops(weights), output })
    using state = on.state(mixers)
    const found: number[] = []
    const read = async (ids: readonly number[]) =>
      found.push(...(await program.logits({ ids, state, length: state.length + ids.length }, 'all')))
    for (const ids of texts) await read(ids)
    state.truncate(Math.floor(state.length / 2))
    await read(texts[0])
    weights.dispose()
    return found
  }
  expect(distance(await values(backend, form), await values(reference, 'f32'))).toBeLessThan(tolerance)
}
