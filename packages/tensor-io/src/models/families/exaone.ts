import type { ConfigReader } from '../config-reader.ts'
import { attention, gatedMlp, norms, normsAfter } from './blocks.ts'
import type { Family } from './family.ts'

const slides = (c: ConfigReader, i: number) => {
  const pattern = c.number('sliding_window_pattern') ?? 0
  return pattern > 0 && (i + 1) % pattern !== 0
}

/** Norms after the sublayers; where layers slide, those that do not have no rotary embedding. */
export const exaone4: Family = {
  modelType: 'exaone4',
  models: 'EXAONE 4',
  differs: 'norms after sublayers; layers that do not slide have no rotary embedding',
  architecture: 'Exaone4ForCausalLM',
  gguf: {
    architecture: 'exaone4',
    ropeTensors: ['rope_freqs.weight'],
    windows: 'all',
    windowsIn: 64,
    windowed: {},
  },
  defaults: { rms_norm_eps: 1e-5, sliding_window: 4096, sliding_window_pattern: 4 },
  layer(c, i) {
    const window = c.window(i, i => slides(c, i))
    return {
      mixer: attention(c, i, {
        qkNorm: { over: 'head' },
        bias: { qkv: false, out: false },
        hasRope: window !== undefined || c.number('sliding_window') === undefined,
        window,
      }),
      ffn: gatedMlp(c, i, { bias: false }),
      norms: norms(c, i, normsAfter),
      scales: { residual: 1 },
    }
  },
}
