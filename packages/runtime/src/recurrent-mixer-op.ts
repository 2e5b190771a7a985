import type { CausalConv, GatedDeltaNet, Mamba2, ShortConv } from '@reallm/tensor-io/models'
import type { ConvWeights } from './backend/recurrent-op.ts'
import type { MixerOp, OpWriter } from './op-writer.ts'

/** The op of a mixer that keeps a state of fixed size. */
export function recurrentMixerOp(
  w: OpWriter,
  mixer: ShortConv | GatedDeltaNet | Mamba2,
  layer: number,
): MixerOp {
  switch (mixer.kind) {
    case 'short-conv': {
      const { before, after, value } = w.slots(mixer, ['before', 'after', 'value'])
      const to = w.slot('mixed', mixer.conv.channels)
      return {
        inputs: [before, after, value],
        op: {
          ...{ kind: 'short-conv', spec: mixer, layer, conv: convWeights(w, mixer.conv), to },
          ...{ before: before[1], after: after[1], value: value[1] },
        },
      }
    }
    case 'gated-delta-net': {
      const parts = w.slots(mixer, ['queryKeyValue', 'gate', 'beta', 'decay'])
      const { queryKeyValue, gate, beta, decay } = parts
      return {
        inputs: Object.values(parts),
        op: {
          ...{ kind: 'delta-rule', spec: mixer, layer, conv: convWeights(w, mixer.conv) },
          ...{ mixed: queryKeyValue[1], gate: gate[1], beta: beta[1], decay: decay[1] },
          ...{ aLog: w.vector(mixer.aLog), dtBias: w.vector(mixer.dtBias), norm: w.norm(mixer.norm) },
          to: w.slot('read', mixer.heads * mixer.valueDim),
        },
      }
    }
    case 'mamba2': {
      const parts = w.slots(mixer, ['gate', 'valueKeyQuery', 'step'])
      const { gate, valueKeyQuery, step } = parts
      return {
        inputs: Object.values(parts),
        op: {
          ...{ kind: 'scan', spec: mixer, layer, conv: convWeights(w, mixer.conv) },
          ...{ mixed: valueKeyQuery[1], gate: gate[1], step: step[1] },
          ...{ aLog: w.vector(mixer.aLog), dtBias: w.vector(mixer.dtBias), skip: w.vector(mixer.skip) },
          ...{ norm: w.norm(mixer.norm), to: w.slot('read', mixer.heads * mixer.headDim) },
        },
      }
    }
  }
}

const convWeights = (w: OpWriter, { weight, bias }: CausalConv): ConvWeights => ({
  weight: w.vector(weight),
  bias: bias && w.vector(bias),
})
