import type { ConfigReader } from '../config-reader.ts'
import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

/** The last layers slide, if any. */
const window = (c: ConfigReader, i: number) =>
  c.window(i, i => c.flag('use_sliding_window') && i >= (c.number('max_window_layers') ?? c.layers))

/** All layers slide in a file that has a window. */
const windowed = { use_sliding_window: true, max_window_layers: 0 }

export const qwen2: Family = {
  modelType: 'qwen2',
  models: 'Qwen2, Qwen2.5',
  differs: 'biases of q, k and v',
  architecture: 'Qwen2ForCausalLM',
  gguf: { architecture: 'qwen2', biases: ['attn_q', 'attn_k', 'attn_v'], headsFill: true, windowed },
  layer: (c, i) => llamaLayer(c, i, { bias: { qkv: true, out: false }, window: window(c, i) }),
}

export const qwen3: Family = {
  modelType: 'qwen3',
  models: 'Qwen3, dense',
  differs: 'norms of queries and keys',
  architecture: 'Qwen3ForCausalLM',
  gguf: { architecture: 'qwen3', windowed },
  defaults: { head_dim: 128 },
  layer: (c, i) => llamaLayer(c, i, { qkNorm: { over: 'head' }, window: window(c, i) }),
}
