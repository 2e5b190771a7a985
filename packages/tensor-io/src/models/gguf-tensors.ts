import { recurrentTensors } from './gguf-mixers.ts'
import type { StoredInGguf } from './gguf-values.ts'
import type { Attention, ExpertStack, GatedMlp, LayerSpec, Norm, Projection } from './layer-spec.ts'
import { type InStack, inStacks } from './stacks.ts'
import type { TransformerConfig } from './transformer-config.ts'

/**
 * How llama.cpp stores each tensor of a model, by Hugging Face's names.
 *
 * @example
 * ggufTensors(config).get('model.layers.3.mlp.down_proj.weight') // { name: 'blk.3.ffn_down.weight', … }
 */
export function ggufTensors(config: TransformerConfig): ReadonlyMap<string, StoredInGguf> {
  const tensors = new Map<string, StoredInGguf>()
  const { permutes = false, norms = {}, apart = false } = config.family.gguf
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
  addNorm(config.norm, norms.last ?? 'output_norm')
  if (!config.tiedHead) add('lm_head', 'output', 0, ['weight'])
  if (config.perLayerInputs) {
    const { table, projection, norm } = config.perLayerInputs
    add(table.name.replace(/\.weight$/, ''), 'per_layer_token_embd', 0, ['weight'])
    add(projection.name, 'per_layer_model_proj', 0, ['weight'])
    addNorm(norm, 'per_layer_proj_norm')
  }
  for (const [i, spec] of config.layerSpecs.entries()) {
    const block = `blk.${i}`
    addLayer(spec, block, add, addNorm)
    const { mixer, ffn } = spec
    if (mixer.kind !== 'attention' && mixer.kind !== 'shared-attention') {
      for (const [name, stored] of recurrentTensors(mixer, block)) tensors.set(name, stored)
    } else if (mixer.kind === 'attention' && mixer.sinks) {
      tensors.set(mixer.sinks.name, { name: `${block}.attn_sinks.weight`, interleavedHeads: 0, added: 0 })
    }
    if (spec.scales.layer) {
      const name = `${block}.layer_output_scale.weight`
      tensors.set(spec.scales.layer.name, { name, interleavedHeads: 0, added: 0 })
    }
    for (const [name, inStack] of inStacks(ffn, expertStacks(block))) {
      tensors.set(name, { name: inStack.name, interleavedHeads: 0, added: 0, inStack })
    }
    const beforeFfn = ffn.kind === 'experts' ? norms.beforeExperts : norms.beforeMlp
    if (beforeFfn) addNorm(spec.norms.beforeFfn, `${block}.${beforeFfn}`)
    const [mlp, ending] = ffn.kind === 'experts' ? [ffn.shared, '_shexp'] : [ffn, '']
    if (apart && mlp) tensors.set(`${mlp.gate.module.name}.weight`, gateApart(mlp, block, ending))
  }
  return tensors
}

/** A gate and up that are one matrix here and two there. */
function gateApart({ width: rows }: GatedMlp, block: string, ending: string): StoredInGguf {
  const parts = ['gate', 'up'].map(part => ({ name: `${block}.ffn_${part}${ending}.weight`, rows }))
  return { name: parts[0].name, interleavedHeads: 0, added: 0, apart: parts }
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

const fused = (...parts: Projection[]) => parts.every(({ module }) => module.name === parts[0].module.name)

function addLayer(
  { mixer, ffn, norms, perLayerInput }: LayerSpec,
  block: string,
  add: (module: string, name: string, heads?: number) => void,
  addNorm: (norm: Norm | undefined, name: string) => void,
): void {
  if (mixer.kind === 'attention') addAttention(mixer, block, add, addNorm)
  if (mixer.kind === 'shared-attention') {
    add(mixer.query.module.name, `${block}.attn_q`, mixer.heads)
    add(mixer.output.name, `${block}.attn_output`)
    addNorm(mixer.queryNorm, `${block}.attn_q_norm`)
  }
  if (perLayerInput) {
    add(perLayerInput.gate.name, `${block}.inp_gate`)
    add(perLayerInput.projection.name, `${block}.proj`)
    addNorm(perLayerInput.norm, `${block}.post_norm`)
  }
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
}

/** Where tensors lie in stacks, by their names. */
export const ggufStacks = (stored: ReadonlyMap<string, StoredInGguf>): Map<string, InStack> =>
  new Map([...stored].flatMap(([name, { inStack }]) => (inStack ? [[name, inStack] as const] : [])))

function addAttention(
  { query, key, value, output, heads, kvHeads, qkNorm }: Attention,
  block: string,
  add: (module: string, name: string, heads?: number) => void,
  addNorm: (norm: Norm | undefined, name: string) => void,
): void {
  if (fused(query, key, value)) {
    add(query.module.name, `${block}.attn_qkv`)
  } else {
    add(query.module.name, `${block}.attn_q`, heads)
    add(key.module.name, `${block}.attn_k`, kvHeads)
    if (!fused(key, value)) add(value.module.name, `${block}.attn_v`)
  }
  add(output.name, `${block}.attn_output`)
  addNorm(qkNorm?.query, `${block}.attn_q_norm`)
  addNorm(qkNorm?.key, `${block}.attn_k_norm`)
}
