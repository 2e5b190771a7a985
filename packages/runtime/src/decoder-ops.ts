import { ReallmError } from '@reallm/tensor-io'
import {
  attentionOf,
  gatedMlpOf,
  type LayerSpec,
  type LinearModule,
  type Norm,
  type Projection,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import type { GroupMember, NormOp, Op, Slot } from './backend/op.ts'
import type { DecoderWeights } from './weights.ts'

/** The forward pass of a model: its layers as data become ops. */
export function decoderOps(config: TransformerConfig, weights: DecoderWeights): Op[] {
  const { hiddenSize, embeddingScale, layerSpecs, norm, logitScale, logitSoftcap } = config
  const writer = new OpWriter(weights, hiddenSize)
  const { hidden } = writer
  return [
    { kind: 'embed', weight: weights.embedding, scale: embeddingScale, to: hidden },
    ...layerSpecs.flatMap((spec, i) => [...mixer(writer, spec, i), ...feedForward(writer, spec)]),
    {
      kind: 'head',
      from: hidden,
      norm: writer.norm(norm),
      weight: weights.head,
      scale: logitScale,
      softcap: logitSoftcap,
    },
  ]
}

function mixer(w: OpWriter, { mixer, norms, scales }: LayerSpec, layer: number): Op[] {
  const spec = attentionOf(mixer, 'the runtime')
  const { heads, kvHeads, headDim, qkNorm } = spec
  if (spec.gated) {
    throw new ReallmError('unsupported', `${spec.output.name}: the runtime knows no gated attention`)
  }
  const query = w.slot('query', heads * headDim)
  const key = w.slot('key', kvHeads * headDim)
  const value = w.slot('value', kvHeads * headDim)
  const attended = w.slot('attended', heads * headDim)
  return [
    w.project(norms.beforeMixer, [
      [spec.query, query],
      [spec.key, key],
      [spec.value, value],
    ]),
    {
      ...{ kind: 'attend', spec, layer, query, key, value, to: attended },
      norms: qkNorm && { query: w.norm(qkNorm.query), key: w.norm(qkNorm.key) },
    },
    w.residual(spec.output, attended, norms.afterMixer, scales.residual),
  ]
}

function feedForward(w: OpWriter, { ffn, norms, scales }: LayerSpec): Op[] {
  const mlp = gatedMlpOf(ffn, 'the runtime')
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

/** Finds the weights of ops, and gives layers the same slots. */
class OpWriter {
  readonly hidden: Slot
  readonly #weights: DecoderWeights
  readonly #slots = new Map<string, Slot>()

  constructor(weights: DecoderWeights, hiddenSize: number) {
    this.#weights = weights
    this.hidden = this.slot('hidden', hiddenSize)
  }

  /** The slot of a purpose and width. */
  slot(purpose: string, width: number): Slot {
    const key = `${purpose} ${width}`
    const slot = this.#slots.get(key) ?? { width }
    this.#slots.set(key, slot)
    return slot
  }

  norm({ name, eps }: Norm): NormOp {
    return { weight: this.#weights.norms.get(name)!, eps }
  }

  /** Projections of the normed hidden states; those of one fused matrix become its parts. */
  project(norm: Norm | undefined, projections: readonly (readonly [Projection, Slot])[]): Op {
    const names = new Set(projections.map(([{ module }]) => module.name))
    const members = [...names].map((name): GroupMember => {
      const own = projections.filter(([{ module }]) => module.name === name)
      const parts = own.map(([{ from }, to]) => ({ row: from, to }))
      return { ...this.#weights.modules.get(name)!, parts }
    })
    return { kind: 'project', from: this.hidden, norm: norm && this.norm(norm), members }
  }

  residual({ name }: LinearModule, from: Slot, norm: Norm | undefined, scale: number): Op {
    const module = this.#weights.modules.get(name)!
    return { kind: 'residual', from, ...module, norm: norm && this.norm(norm), scale, hidden: this.hidden }
  }
}
