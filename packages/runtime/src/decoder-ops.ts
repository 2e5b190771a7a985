import type { LayerSpec, TransformerConfig } from '@reallm/tensor-io/models'
import type { Op } from './backend/op.ts'
import { mixerOp } from './mixer-op.ts'
import { OpWriter } from './op-writer.ts'
import type { DecoderWeights } from './weights.ts'

/** The forward pass of a model: its layers as data become ops. */
export async function decoderOps(config: TransformerConfig, weights: DecoderWeights): Promise<Op[]> {
  const { hiddenSize, embeddingScale, layerSpecs, perLayerInputs, norm, logitScale, logitSoftcap } = config
  const writer = new OpWriter(weights, hiddenSize)
  const { hidden } = writer
  const layered = () => import('./layered-ops.ts')
  const ops: Op[] = [{ kind: 'embed', weight: weights.embedding, scale: embeddingScale, to: hidden }]
  if (perLayerInputs) ops.push((await layered()).perLayerInputs(writer, perLayerInputs, config))
  for (const [i, spec] of layerSpecs.entries()) {
    ops.push(...(await mixer(writer, spec, i)), ...feedForward(writer, spec))
    if (spec.perLayerInput || spec.scales.layer) ops.push(...(await layered()).ending(writer, spec, i))
  }
  const head = { weight: weights.head, scale: logitScale, softcap: logitSoftcap }
  return [...ops, { kind: 'head', from: hidden, norm: writer.norm(norm), ...head }]
}

async function mixer(w: OpWriter, { mixer, norms, scales }: LayerSpec, layer: number): Promise<Op[]> {
  const { inputs, op } = await mixerOp(w, mixer, layer)
  return [
    w.project(norms.beforeMixer, inputs),
    op,
    w.residual(mixer.output, op.to, norms.afterMixer, scales.residual),
  ]
}

function feedForward(w: OpWriter, { ffn, norms, scales }: LayerSpec): Op[] {
  if (ffn.kind === 'experts') return [w.experts(ffn, norms, scales.residual)]
  const mlp = ffn
  const gate = w.slot('gate', mlp.width)
  const up = w.slot('up', mlp.width)
  return [
    w.project(norms.beforeFfn, [
      [mlp.gate, gate],
      [mlp.up, up],
    ]),
    { kind: 'gated-product', activation: mlp.activation, gate, up, to: gate },
    w.residual(mlp.down, gate, norms.afterFfn, scales.residual),
  ]
}
