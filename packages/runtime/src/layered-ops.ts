import type { LayerSpec, PerLayerInputs, SharedAttention, TransformerConfig } from '@reallm/tensor-io/models'
import type { Op } from './backend/op.ts'
import type { MixerOp, OpWriter } from './op-writer.ts'

/** The tokens' second embedding. */
export function perLayerInputs(
  w: OpWriter,
  { width, projection, norm }: PerLayerInputs,
  { layers, hiddenSize }: TransformerConfig,
): Op {
  const { weight, eps } = w.norm(norm)
  return {
    ...{ kind: 'per-layer-inputs', from: w.hidden, table: w.weights.perLayerTable! },
    projection: w.weights.modules.get(projection.name)!.weight,
    // What is normed is the projection divided by √hidden: its norm is the same with another epsilon.
    norm: { weight, eps: eps * hiddenSize },
    to: Array.from({ length: layers }, (_, i) => inputOf(w, i, width)),
  }
}

const inputOf = (w: OpWriter, layer: number, width: number) => w.slot(`input of layer ${layer}`, width)

export function attendShared(w: OpWriter, spec: SharedAttention): MixerOp {
  const { query } = w.slots(spec, ['query'])
  return {
    inputs: [query],
    op: {
      ...{ kind: 'attend-shared', spec, query: query[1], to: w.slot('attended', spec.heads * spec.headDim) },
      norm: spec.queryNorm && w.norm(spec.queryNorm),
    },
  }
}

/** What follows the two sublayers of a layer. */
export function ending(w: OpWriter, { perLayerInput, scales }: LayerSpec, layer: number): Op[] {
  const ops: Op[] = []
  if (perLayerInput) {
    const { activation, gate, projection, norm } = perLayerInput
    const [width] = gate.shape
    const to = w.slot('gate', width)
    ops.push(
      w.project(undefined, [[{ module: gate, from: 0, to: width }, to]]),
      { kind: 'gated-product', activation, gate: to, up: inputOf(w, layer, width), to },
      w.residual(projection, to, norm, 1),
    )
  }
  if (scales.layer) ops.push({ kind: 'times', factor: w.vector(scales.layer), hidden: w.hidden })
  return ops
}
