import { ReallmError } from '@reallm/tensor-io'
import {
  type Activation,
  type Attention,
  attentionOf,
  type GatedMlp,
  gatedMlpOf,
  type LinearModule,
  type Norm,
  type Projection,
  type Rope,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import { Graph } from './graph.ts'

/** The constants that a graph refers to, as names of initializers that it adds. */
export interface Constants {
  /** `x Wᵀ` of a matrix. */
  linear(graph: Graph, module: string, x: string): string
  /** Rows of the embedding for token ids. */
  embed(graph: Graph, ids: string): string
  /** A vector by the name of its tensor, plus a number. */
  vector(graph: Graph, tensor: string, offset: number): string
}

const knows = 'the target onnx'

/** ONNX Runtime's GroupQueryAttention wants heads, and turned pairs, of multiples of these. */
const headUnit = 16
const pairUnit = 8

/**
 * The graph of a decoder as transformers.js runs it: token ids, an attention mask and the keys and values so far go in, logits
 * and all keys and values come out. Operators are those of ONNX Runtime's own converters.
 *
 * @throws `unsupported` naming what of the model it cannot express
 */
export function decoderGraph(config: TransformerConfig, constants: Constants): Graph {
  const graph = new Graph()
  const batch = 'batch_size'
  graph.inputs.push(
    { name: 'input_ids', type: 'int64', dims: [batch, 'sequence_length'] },
    { name: 'attention_mask', type: 'int64', dims: [batch, 'total_sequence_length'] },
  )
  const lengths = sequenceLengths(graph)
  const angles = new Map<Rope, readonly [cos: string, sin: string]>()
  const anglesOf = (rope: Rope) => {
    const known = angles.get(rope) ?? rotations(graph, rope, angles.size, lengths.total)
    angles.set(rope, known)
    return known
  }

  let hidden = scaled(graph, constants.embed(graph, 'input_ids'), config.embeddingScale)
  for (const [i, spec] of config.layerSpecs.entries()) {
    const { norms, scales } = spec
    const attention = attentionOf(spec.mixer, knows)
    const mlp = gatedMlpOf(spec.ffn, knows)
    const step = (y: string, after: Norm | undefined) => {
      const normed = after ? rmsNorm(graph, constants, after, y) : y
      return graph.node('Add', [hidden, scaled(graph, normed, scales.residual)])
    }
    const input = (before: Norm | undefined) => (before ? rmsNorm(graph, constants, before, hidden) : hidden)
    const attended = attend(graph, constants, attention, i, input(norms.beforeMixer), { lengths, anglesOf })
    hidden = step(linear(graph, constants, attention.output, attended), norms.afterMixer)
    hidden = step(gated(graph, constants, mlp, input(norms.beforeFfn)), norms.afterFfn)
  }
  const last = rmsNorm(graph, constants, config.norm, hidden)
  const head = config.tiedHead ? 'model.embed_tokens' : 'lm_head'
  const logits = capped(
    graph,
    scaled(graph, constants.linear(graph, head, last), config.logitScale),
    config.logitSoftcap,
  )
  graph.node('Identity', [logits], {}, ['logits'])
  graph.outputs.unshift({ name: 'logits', type: 'float', dims: [batch, 'sequence_length', config.vocabSize] })
  return graph
}

interface Lengths {
  /** Index of each text's last position, `[batch]`, int32. */
  readonly last: string
  /** Positions in all, int32. */
  readonly total: string
}

function sequenceLengths(graph: Graph): Lengths {
  const axis = graph.numbers('axis_1', [1])
  const one = graph.numbers('one', [1], 'int64', [])
  const counted = graph.node('ReduceSum', ['attention_mask', axis], { keepdims: 0 })
  const last = graph.node('Cast', [graph.node('Sub', [counted, one])], { to: 6 })
  const shape = graph.node('Shape', ['attention_mask'])
  const total = graph.node('Gather', [shape, one], { axis: 0 })
  return { last, total: graph.node('Cast', [total], { to: 6 }) }
}

/** cos and sin of all positions, `[positions, pairs]`. */
function rotations(graph: Graph, rope: Rope, i: number, total: string): readonly [cos: string, sin: string] {
  if (rope.long || rope.temperature) {
    throw new ReallmError(
      'unsupported',
      `${knows} knows no rotary embeddings that depend on the text's length`,
      {
        hint: 'use the target reallm or gguf',
      },
    )
  }
  const { inverseFrequencies, scale } = rope
  const zero = graph.numbers('zero', [0], 'int64', [])
  const one = graph.numbers('one', [1], 'int64', [])
  const end = graph.node('Cast', [total], { to: 7 })
  const positions = graph.node('Cast', [graph.node('Range', [zero, end, one])], { to: 1 })
  const column = graph.node('Unsqueeze', [positions, graph.numbers('axis_1', [1])])
  const frequencies = graph.numbers(`inverse_frequencies_${i}`, [...inverseFrequencies], 'float', [
    1,
    inverseFrequencies.length,
  ])
  const angles = graph.node('Mul', [column, frequencies])
  const of = (name: 'Cos' | 'Sin') => scaled(graph, graph.node(name, [angles]), scale)
  return [of('Cos'), of('Sin')]
}

function attend(
  graph: Graph,
  constants: Constants,
  spec: Attention,
  layer: number,
  x: string,
  { lengths, anglesOf }: { lengths: Lengths; anglesOf: (rope: Rope) => readonly [string, string] },
): string {
  const { heads, kvHeads, headDim, qkNorm, rope } = spec
  if (spec.gated || spec.sinks || qkNorm?.afterRope) {
    const what = spec.gated
      ? 'gates of attention'
      : spec.sinks
        ? 'attention sinks'
        : 'norms behind the rotary embedding'
    throw new ReallmError('unsupported', `${spec.output.name}: ${knows} knows no ${what}`, {
      hint: 'use the target reallm or gguf',
    })
  }
  if (headDim % headUnit !== 0 || (rope && rope.inverseFrequencies.length % pairUnit !== 0)) {
    const rotated = rope ? `, ${2 * rope.inverseFrequencies.length} of them rotated` : ''
    throw new ReallmError(
      'unsupported',
      `${spec.output.name}: ONNX Runtime knows no heads of ${headDim} values${rotated}`,
      { hint: 'use the target reallm or gguf' },
    )
  }
  const part = (projection: Projection) => projected(graph, constants, projection, x)
  const normed = (y: string, norm: Norm | undefined, count: number) => {
    if (!norm) return y
    if (norm.width !== headDim) return rmsNorm(graph, constants, norm, y)
    const split = graph.node('Reshape', [
      y,
      graph.numbers(`split_${count}_${headDim}`, [0, 0, count, headDim]),
    ])
    const joined = graph.numbers(`join_${count * headDim}`, [0, 0, count * headDim])
    return graph.node('Reshape', [rmsNorm(graph, constants, norm, split), joined])
  }
  const [past, present] = ['past_key_values', 'present']
  const shape = (length: string) => ['batch_size', kvHeads, length, headDim]
  for (const what of ['key', 'value']) {
    graph.inputs.push({
      name: `${past}.${layer}.${what}`,
      type: 'float',
      dims: shape('past_sequence_length'),
    })
    graph.outputs.push({
      name: `${present}.${layer}.${what}`,
      type: 'float',
      dims: shape('total_sequence_length'),
    })
  }
  return graph.node(
    'com.microsoft.GroupQueryAttention',
    [
      normed(part(spec.query), qkNorm?.query, heads),
      normed(part(spec.key), qkNorm?.key, kvHeads),
      part(spec.value),
      ...[`${past}.${layer}.key`, `${past}.${layer}.value`, lengths.last, lengths.total],
      ...(rope ? anglesOf(rope) : []),
    ],
    {
      num_heads: heads,
      kv_num_heads: kvHeads,
      scale: { float: spec.scale },
      local_window_size: spec.window ?? -1,
      softcap: { float: spec.softcap ?? 0 },
      do_rotary: rope ? 1 : 0,
      rotary_interleaved: rope?.interleaved ? 1 : 0,
    },
    [`attention_${layer}`, `${present}.${layer}.key`, `${present}.${layer}.value`],
  )
}

/** `down(activation(gate(x)) · up(x))` */
function gated(graph: Graph, constants: Constants, spec: GatedMlp, x: string): string {
  if (spec.clamp) throw new ReallmError('unsupported', `${spec.down.name}: ${knows} knows no clamped gates`)
  const gate = activated(graph, spec.activation, projected(graph, constants, spec.gate, x))
  const product = graph.node('Mul', [gate, projected(graph, constants, spec.up, x)])
  return linear(graph, constants, spec.down, product)
}

function activated(graph: Graph, activation: Activation, x: string): string {
  if (activation === 'silu') return graph.node('Mul', [x, graph.node('Sigmoid', [x])])
  return graph.node('Gelu', [x], { approximate: { text: activation === 'gelu' ? 'none' : 'tanh' } })
}

/** What a sublayer needs of a linear layer's output; a fused one is computed once for each of its parts. */
function projected(graph: Graph, constants: Constants, { module, from, to }: Projection, x: string): string {
  const whole = linear(graph, constants, module, x)
  if (from === 0 && to === module.shape[0]) return whole
  const ends = [from, to].map(at => graph.numbers(`row_${at}`, [at]))
  return graph.node('Slice', [whole, ...ends, graph.numbers('axis_2', [2])])
}

function linear(graph: Graph, constants: Constants, { name, bias }: LinearModule, x: string): string {
  const y = constants.linear(graph, name, x)
  return bias ? graph.node('Add', [y, constants.vector(graph, `${name}.bias`, 0)]) : y
}

function rmsNorm(graph: Graph, constants: Constants, { name, eps, offset }: Norm, x: string): string {
  const weight = constants.vector(graph, `${name}.weight`, offset)
  return graph.node('SimplifiedLayerNormalization', [x, weight], {
    axis: -1,
    epsilon: { float: eps },
    stash_type: 1,
  })
}

function scaled(graph: Graph, x: string, factor: number): string {
  return factor === 1 ? x : graph.node('Mul', [x, graph.numbers(`factor_${factor}`, [factor], 'float', [])])
}

function capped(graph: Graph, x: string, cap: number | undefined): string {
  if (cap === undefined) return x
  const by = graph.numbers('logit_softcap', [cap], 'float', [])
  return graph.node('Mul', [graph.node('Tanh', [graph.node('Div', [x, by])]), by])
}
