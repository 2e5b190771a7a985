import { ReallmError } from '@reallm/tensor-io'
import type { Attention, CausalConv, Mixer, Projection } from '@reallm/tensor-io/models'
import type { Attend, Slot } from './backend/op.ts'
import type { ConvWeights, RecurrentOp } from './backend/recurrent-op.ts'
import type { OpWriter } from './op-writer.ts'

/** The op of a mixer, and the projections that it takes in. */
export interface MixerOp {
  readonly inputs: readonly (readonly [Projection, Slot])[]
  readonly op: Attend | RecurrentOp
}

export function mixerOp(w: OpWriter, mixer: Mixer, layer: number): MixerOp {
  switch (mixer.kind) {
    case 'attention':
      if (mixer.valueNormEps === undefined) return attend(w, mixer, layer)
      throw refuse(mixer.output.name, 'norms of values')
    case 'shared-attention':
      throw refuse(mixer.output.name, 'keys and values of earlier layers')
    case 'short-conv': {
      const { before, after, value } = slotsOf(w, mixer, ['before', 'after', 'value'])
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
      const parts = slotsOf(w, mixer, ['queryKeyValue', 'gate', 'beta', 'decay'])
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
      const parts = slotsOf(w, mixer, ['gate', 'valueKeyQuery', 'step'])
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

const refuse = (name: string, what: string) =>
  new ReallmError('unsupported', `${name}: the runtime knows no ${what}`)

function attend(w: OpWriter, spec: Attention, layer: number): MixerOp {
  const { query, key, value } = slotsOf(w, spec, ['query', 'key', 'value'])
  const { heads, headDim, qkNorm } = spec
  return {
    inputs: [query, key, value],
    op: {
      ...{ kind: 'attend', spec, layer, query: query[1], key: key[1], value: value[1] },
      to: w.slot('attended', heads * headDim),
      norms: qkNorm && { query: w.norm(qkNorm.query), key: w.norm(qkNorm.key) },
      sinks: spec.sinks && w.vector(spec.sinks),
    },
  }
}

/** Projections of a mixer, each with a slot of its purpose and width. */
function slotsOf<Name extends string>(
  w: OpWriter,
  mixer: Readonly<Record<Name, Projection>>,
  names: readonly Name[],
): Record<Name, readonly [Projection, Slot]> {
  const found = {} as Record<Name, readonly [Projection, Slot]>
  for (const name of names) found[name] = [mixer[name], w.slot(name, mixer[name].to - mixer[name].from)]
  return found
}

const convWeights = (w: OpWriter, { weight, bias }: CausalConv): ConvWeights => ({
  weight: w.vector(weight),
  bias: bias && w.vector(bias),
})
