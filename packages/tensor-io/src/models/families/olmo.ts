import type { ConfigReader } from '../config-reader.ts'
import { attention, gatedMlp, norms, normsAfter } from './blocks.ts'
import type { Family } from './family.ts'

/** Norms after the sublayers, and of all heads together. */
const layer = (c: ConfigReader, i: number, window?: number) => ({
  mixer: attention(c, i, { qkNorm: { over: 'all' }, window }),
  ffn: gatedMlp(c, i, { bias: false }),
  norms: norms(c, i, normsAfter),
  scales: { residual: 1 },
})

export const olmo2: Family = {
  modelType: 'olmo2',
  models: 'OLMo 2',
  differs: 'norms after sublayers; of all heads together',
  architecture: 'Olmo2ForCausalLM',
  gguf: { architecture: 'olmo2', headsFill: true },
  defaults: { rms_norm_eps: 1e-5 },
  layer: (c, i) => layer(c, i),
}

/** Three of four layers slide; a scaling of the rotary embedding is for the fourth. */
export const olmo3: Family = {
  modelType: 'olmo3',
  models: 'OLMo 3',
  differs: 'as OLMo 2; three of four layers slide',
  architecture: 'Olmo3ForCausalLM',
  gguf: { architecture: 'olmo2', headsFill: true, windows: 'all', windowed: {} },
  defaults: { rms_norm_eps: 1e-5, rope_theta: 500_000, sliding_window: 4096 },
  rope: { plainWhenSliding: true },
  layer: (c, i) =>
    layer(
      c,
      i,
      c.window(i, i => (i + 1) % 4 !== 0),
    ),
}
