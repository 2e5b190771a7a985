import type { Attention, Mixer } from '@reallm/tensor-io/models'
import type { MixerOp, OpWriter } from './op-writer.ts'

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
