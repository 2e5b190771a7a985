import type { Attention, Mixer, Projection } from '@reallm/tensor-io/models'
import type { AttendShared } from './backend/layered-op.ts'
import type { Attend, Slot } from './backend/op.ts'
import type { RecurrentOp } from './backend/recurrent-op.ts'
import type { OpWriter } from './op-writer.ts'

/** The op of a mixer, and the projections that it takes in. */
export interface MixerOp {
  readonly inputs: readonly (readonly [Projection, Slot])[]
  readonly op: Attend | AttendShared | RecurrentOp
}

/** What writes ops of mixers that few models have is fetched for those. */
export async function mixerOp(w: OpWriter, mixer: Mixer, layer: number): Promise<MixerOp> {
  if (mixer.kind === 'attention') return attend(w, mixer, layer)
  if (mixer.kind === 'shared-attention') return (await import('./layered-ops.ts')).attendShared(w, mixer)
  return (await import('./recurrent-mixer-op.ts')).recurrentMixerOp(w, mixer, layer)
}

function attend(w: OpWriter, spec: Attention, layer: number): MixerOp {
  const { query, key, value } = w.slots(spec, ['query', 'key', 'value'])
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
