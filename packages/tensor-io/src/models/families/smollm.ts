import type { ConfigReader } from '../config-reader.ts'
import { llamaLayer } from './blocks.ts'
import type { Family } from './family.ts'

/** All layers except every so manyth, or those with a 1 in the list. */
function hasRope(c: ConfigReader, i: number): boolean {
  const listed = c.value('no_rope_layers')
  if (Array.isArray(listed)) return Boolean(listed[i])
  return (i + 1) % c.count('no_rope_layer_interval') !== 0
}

/** Layers without rotary embedding between those that have one. */
export const smollm3: Family = {
  modelType: 'smollm3',
  models: 'SmolLM3',
  differs: 'every fourth layer without rotary embedding',
  architecture: 'SmolLM3ForCausalLM',
  gguf: { architecture: 'smollm3', permutes: true, windowed: {} },
  defaults: { rope_theta: 2_000_000, no_rope_layer_interval: 4, tie_word_embeddings: true },
  layer: (c, i) =>
    llamaLayer(c, i, {
      hasRope: hasRope(c, i),
      window: c.flag('use_sliding_window') ? c.window(i, i => !hasRope(c, i)) : undefined,
    }),
}
