import { familyOf, type TransformerConfig } from './config.ts'
import {
  attentionOf,
  type ExpertStack,
  type GatedMlp,
  type LayerSpec,
  type Norm,
  type Projection,
} from './layer-spec.ts'
import { type InStack, inStacks } from './stacks.ts'

/** How llama.cpp stores a tensor of a model. */
export interface StoredInGguf {
  readonly name: string
  /** The rows of so many heads lie pairwise interleaved; 0 for Hugging Face's order. */
  readonly interleavedHeads: number
  /** Added to every value: norms whose weights multiply as `1 + w` hold `1 + w`. */
  readonly added: 0 | 1
  /** It is an expert's part of a stack. */
  readonly inStack?: InStack
}

/**
 * How llama.cpp stores each tensor of a model, by Hugging Face's names.
 *
 * @example
 * ggufTensors(config).get('model.layers.3.mlp.down_proj.weight') // { name: 'blk.3.ffn_down.weight', … }
 */
export function ggufTensors(config: TransformerConfig): ReadonlyMap<string, StoredInGguf> {
  const tensors = new Map<string, StoredInGguf>()
  const { permutes = false, expertNorm } = familyOf(config.source).gguf
  const add = (module: string, name: string, heads = 0, kinds = ['weight', 'bias']) => {
    const interleavedHeads = permutes ? heads : 0
    for (const kind of kinds) {
      tensors.set(`${module}.${kind}`, { name: `${name}.${kind}`, interleavedHeads, added: 0 })
    }
  }
  const addNorm = (norm: Norm | undefined, name: string) => {
    if (norm) {
      const stored = { name: `${name}.weight`, interleavedHeads: 0, added: norm.offset }
      tensors.set(`${norm.name}.weight`, stored)
    }
  }
  add('model.embed_tokens', 'token_embd', 0, ['weight'])
  addNorm(config.norm, 'output_norm')
  if (!config.tiedHead) add('lm_head', 'output', 0, ['weight'])
  for (const [i, spec] of config.layerSpecs.entries()) {
    const block = `blk.${i}`
    addLayer(spec, block, add, addNorm)
    const { sinks } = attentionOf(spec.mixer, 'GGUF')
    if (sinks) {
      tensors.set(sinks.name, { name: `${block}.attn_sinks.weight`, interleavedHeads: 0, added: 0 })
    }
    for (const [name, inStack] of inStacks(spec.ffn, expertStacks(block))) {
      tensors.set(name, { name: inStack.name, interleavedHeads: 0, added: 0, inStack })
    }
    if (spec.ffn.kind === 'experts' && expertNorm) addNorm(spec.norms.beforeFfn, `${block}.${expertNorm}`)
  }
  return tensors
}

/** llama.cpp stacks each matrix of all experts. */
const expertStacks = (block: string): ExpertStack[] =>
  (['gate', 'up', 'down'] as const).map(part => ({
    parts: [part],
    weight: `${block}.ffn_${part}_exps.weight`,
    bias: `${block}.ffn_${part}_exps.bias`,
    transposed: false,
    interleaved: false,
  }))

function addLayer(
  { ffn, norms, ...spec }: LayerSpec,
  block: string,
  add: (module: string, name: string, heads?: number) => void,
  addNorm: (norm: Norm | undefined, name: string) => void,
): void {
  const fused = (...parts: Projection[]) => parts.every(({ module }) => module.name === parts[0].module.name)
  const mixer = attentionOf(spec.mixer, 'GGUF')
  const { query, key, value } = mixer
  if (fused(query, key, value)) {
    add(query.module.name, `${block}.attn_qkv`)
  } else {
    add(query.module.name, `${block}.attn_q`, mixer.heads)
    add(key.module.name, `${block}.attn_k`, mixer.kvHeads)
    add(value.module.name, `${block}.attn_v`)
  }
  add(mixer.output.name, `${block}.attn_output`)
  const addMlp = ({ gate, up, down }: GatedMlp, ending = '') => {
    if (!fused(gate, up)) add(gate.module.name, `${block}.ffn_gate${ending}`)
    add(up.module.name, `${block}.ffn_up${ending}`)
    add(down.name, `${block}.ffn_down${ending}`)
  }
  if (ffn.kind === 'gated-mlp') {
    addMlp(ffn)
  } else {
    add(ffn.router.name, `${block}.ffn_gate_inp`)
    if (ffn.shared) addMlp(ffn.shared, '_shexp')
  }
  addNorm(norms.beforeMixer, `${block}.attn_norm`)
  addNorm(norms.afterMixer, `${block}.post_attention_norm`)
  addNorm(norms.beforeFfn, `${block}.ffn_norm`)
  addNorm(norms.afterFfn, `${block}.post_ffw_norm`)
  addNorm(mixer.qkNorm?.query, `${block}.attn_q_norm`)
  addNorm(mixer.qkNorm?.key, `${block}.attn_k_norm`)
}

/** Where tensors lie in stacks, by their names. */
export const ggufStacks = (stored: ReadonlyMap<string, StoredInGguf>): Map<string, InStack> =>
  new Map([...stored].flatMap(([name, { inStack }]) => (inStack ? [[name, inStack] as const] : [])))

/** A tensor's values as GGUF has them (`to`), or Hugging Face (`from`); `rows` is its first axis. */
export function ggufValues(
  { interleavedHeads, added }: StoredInGguf,
  values: Float32Array<ArrayBuffer>,
  rows: number,
  direction: 'to' | 'from',
): Float32Array<ArrayBuffer> {
  const undo = direction === 'from'
  if (interleavedHeads > 0) return permuteHeads(values, rows, interleavedHeads, undo)
  return added === 0 ? values : values.map(w => (undo ? w - added : w + added))
}

/**
 * Reorders the rows of llama.cpp's q and k, where the two halves of a head lie interleaved, into Hugging Face's
 * order (`undo`), or the other way round. `data` is `[rows, …]` with rows = heads × head width.
 */
export function permuteHeads(
  data: Float32Array,
  rows: number,
  heads: number,
  undo: boolean,
): Float32Array<ArrayBuffer> {
  const width = data.length / rows
  const headRows = rows / heads
  const half = headRows / 2
  const out = new Float32Array(data.length)
  for (let head = 0; head < heads; head++) {
    for (let j = 0; j < half; j++) {
      for (let side = 0; side < 2; side++) {
        const plain = (head * headRows + side * half + j) * width
        const interleaved = (head * headRows + 2 * j + side) * width
        const [from, to] = undo ? [interleaved, plain] : [plain, interleaved]
        out.set(data.subarray(from, from + width), to)
      }
    }
  }
  return out
}
