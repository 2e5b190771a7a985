import { type Tensor, tensor } from '../src/core/tensor.ts'
import type { ModelFiles } from '../src/formats/model-files.ts'
import { openFiles } from '../src/formats/open/open-files.ts'
import { encodeSafetensors } from '../src/formats/safetensors/encode.ts'
import { bytesSource } from '../src/formats/source/source.ts'

export type Tensors = Record<string, Tensor>

/** A Llama of two layers, 8 wide, with a head of its own. */
export const tinyConfig = {
  model_type: 'llama',
  vocab_size: 12,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  tie_word_embeddings: false,
}

/** `sin` of the position, plus what tells tensors apart. */
export const filled = (shape: readonly number[], phase = 0): Tensor<'F32'> => {
  const values = Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) =>
    Math.sin(i + phase),
  )
  return tensor('F32', [...shape], values)
}

/** Its tensors. */
export function tinyTensors(): Tensors {
  const layer = (i: number): Record<string, number[]> => ({
    [`model.layers.${i}.self_attn.q_proj`]: [8, 8],
    [`model.layers.${i}.self_attn.k_proj`]: [4, 8],
    [`model.layers.${i}.self_attn.v_proj`]: [4, 8],
    [`model.layers.${i}.self_attn.o_proj`]: [8, 8],
    [`model.layers.${i}.mlp.gate_proj`]: [16, 8],
    [`model.layers.${i}.mlp.up_proj`]: [16, 8],
    [`model.layers.${i}.mlp.down_proj`]: [8, 16],
    [`model.layers.${i}.input_layernorm`]: [8],
    [`model.layers.${i}.post_attention_layernorm`]: [8],
  })
  const shapes = {
    'model.embed_tokens': [12, 8],
    ...layer(0),
    ...layer(1),
    'model.norm': [8],
    lm_head: [12, 8],
  }
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape], i) => [`${name}.weight`, filled(shape, i)]),
  )
}

/** A model directory in memory. */
export function modelOf(
  tensors: Tensors = tinyTensors(),
  config: object = tinyConfig,
  others: Record<string, unknown> = {},
): Promise<ModelFiles> {
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))
  const files = { 'config.json': config, ...others }
  return openFiles([
    ...Object.entries(files).map(([name, value]) => ({ name, source: bytesSource(name, json(value)) })),
    { name: 'model.safetensors', source: bytesSource('model.safetensors', encodeSafetensors(tensors)) },
  ])
}

/** The same tensors under other names. */
export const renamed = (tensors: Tensors, name: (name: string) => string): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([key, value]) => [name(key), value]))
