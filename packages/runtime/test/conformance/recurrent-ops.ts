import type { CausalConv, GatedDeltaNet, Mamba2, Parameter, ShortConv } from '@reallm/tensor-io/models'
import fc from 'fast-check'
import type { Slot } from '../../src/backend/op.ts'
import type { ConvWeights, RecurrentOp } from '../../src/backend/recurrent-op.ts'
import { type Case, eps, module, project, projection } from './cases.ts'
import type { Weights } from './programs.ts'

const count = (max: number) => fc.integer({ min: 1, max })
const width = count(5).map(n => 4 * n)
const unused: Parameter = { name: 'unused', shape: [4] }
const norm = (width: number) => ({ name: 'unused', width, eps, offset: 0 as const })

const convolution = (channels: number, kernel: number, bias: boolean): CausalConv => ({
  channels,
  kernel,
  weight: unused,
  bias: bias ? unused : undefined,
})

const convWeights = (weights: Weights, { channels, kernel, bias }: CausalConv): ConvWeights => ({
  weight: weights.vector(channels * kernel),
  bias: bias && weights.vector(channels),
})

/** A case of one op, all of whose inputs are products of the embedding. */
function caseOf(
  inputs: readonly Slot[],
  mixer: RecurrentOp['spec'],
  to: Slot,
  op: (weights: Weights) => RecurrentOp,
): Case {
  const from = { width: 24 }
  const ops = async (weights: Weights) => [await project(weights, from, inputs), op(weights)]
  return { input: from, output: to, mixers: [mixer], ops }
}

export const shortConvs: fc.Arbitrary<Case> = fc
  .record({ channels: width, kernel: count(4), bias: fc.boolean() })
  .map(({ channels, kernel, bias }) => {
    const [before, after, value, to] = [1, 2, 3, 4].map(() => ({ width: channels }))
    const spec: ShortConv = {
      ...{ kind: 'short-conv', before: projection, after: projection, value: projection, output: module },
      conv: convolution(channels, kernel, bias),
    }
    return caseOf([before, after, value], spec, to, weights => ({
      ...{ kind: 'short-conv', spec, layer: 0, before, after, value, to },
      conv: convWeights(weights, spec.conv),
    }))
  })

export const deltaRules: fc.Arbitrary<Case> = fc
  .record({ keyHeads: count(2), shared: count(3), keyDim: width, valueDim: width, kernel: count(4) })
  .map(({ keyHeads, shared, keyDim, valueDim, kernel }) => {
    // Activations are whole vectors of four.
    const heads = 4 * keyHeads * shared
    const channels = 2 * keyHeads * keyDim + heads * valueDim
    const [mixed, beta, decay] = [{ width: channels }, { width: heads }, { width: heads }]
    const [gate, to] = [{ width: heads * valueDim }, { width: heads * valueDim }]
    const spec: GatedDeltaNet = {
      ...{ kind: 'gated-delta-net', keyHeads, heads, keyDim, valueDim },
      ...{ queryKeyValue: projection, gate: projection, beta: projection, decay: projection },
      ...{ aLog: unused, dtBias: unused, norm: norm(valueDim), output: module },
      conv: convolution(channels, kernel, false),
    }
    return caseOf([mixed, gate, beta, decay], spec, to, weights => ({
      ...{ kind: 'delta-rule', spec, layer: 0, mixed, gate, beta, decay, to },
      conv: convWeights(weights, spec.conv),
      aLog: weights.vector(heads),
      dtBias: weights.vector(heads),
      norm: { weight: weights.vector(valueDim), eps: 1e-2 },
    }))
  })

export const scans: fc.Arbitrary<Case> = fc
  .record({
    groups: count(2),
    shared: count(2),
    headDim: width,
    stateDim: width,
    kernel: count(4),
    bias: fc.boolean(),
  })
  .map(({ groups, shared, headDim, stateDim, kernel, bias }) => {
    const heads = 4 * groups * shared
    const inner = heads * headDim
    const channels = inner + 2 * groups * stateDim
    const [mixed, step, gate, to] = [channels, heads, inner, inner].map(width => ({ width }))
    const spec: Mamba2 = {
      ...{ kind: 'mamba2', heads, headDim, groups, stateDim },
      ...{ gate: projection, valueKeyQuery: projection, step: projection },
      ...{ aLog: unused, dtBias: unused, skip: unused, norm: norm(inner), output: module },
      conv: convolution(channels, kernel, bias),
    }
    return caseOf([mixed, gate, step], spec, to, weights => ({
      ...{ kind: 'scan', spec, layer: 0, mixed, gate, step, to },
      conv: convWeights(weights, spec.conv),
      aLog: weights.vector(heads),
      dtBias: weights.vector(heads),
      skip: weights.vector(heads),
      norm: { weight: weights.vector(inner), eps },
    }))
  })
