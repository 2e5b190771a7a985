import { createGgufWriter, type GgufValue } from '@reallm/tensor-io'
import { allTensors, familyOf, ggufTensors, ggufValues, type ModelWeights } from '@reallm/tensor-io/models'

/** Writes a model as llama.cpp's converter does: its names, its order of q and k, norms with Gemma's 1 added. */
export async function writeAsGguf(model: ModelWeights, path: string, more: Record<string, GgufValue> = {}) {
  const { config } = model
  const gguf = familyOf(config.source).gguf.architecture
  const [{ mixer, ffn }] = config.layerSpecs
  const number = (type: 'uint32' | 'float32', value: number): GgufValue => ({ type, value })
  const rope = config.source.rope_parameters as {
    rope_theta?: number
    full_attention?: { rope_theta: number }
  }
  const window = config.layerSpecs.map(spec => spec.mixer.window).find(w => w !== undefined)
  const dimensions: Record<string, GgufValue> = {
    block_count: number('uint32', config.layers),
    context_length: number('uint32', config.maxPositions),
    embedding_length: number('uint32', config.hiddenSize),
    feed_forward_length: number('uint32', ffn.width),
    'attention.head_count': number('uint32', mixer.heads),
    'attention.head_count_kv': number('uint32', mixer.kvHeads),
    'attention.key_length': number('uint32', mixer.headDim),
    'attention.layer_norm_rms_epsilon': number('float32', config.norm.eps),
    'rope.freq_base': number('float32', rope.full_attention?.rope_theta ?? rope.rope_theta!),
    ...(window !== undefined && { 'attention.sliding_window': number('uint32', window) }),
  }
  const metadata: Record<string, GgufValue> = {
    'general.architecture': { type: 'string', value: gguf },
    ...Object.fromEntries(Object.entries(dimensions).map(([key, value]) => [`${gguf}.${key}`, value])),
    ...more,
  }
  const shapes = allTensors(config)
  const inGguf = ggufTensors(config)
  const planned = Object.fromEntries(
    [...shapes].map(([name, shape]) => [inGguf.get(name)!.name, { type: 'F32' as const, shape }]),
  )
  const writer = await createGgufWriter(path, metadata, planned)
  for (const [name, shape] of shapes) {
    const { data } = await model.read(name)
    const stored = inGguf.get(name)!
    await writer.write(stored.name, ggufValues(stored, data as Float32Array<ArrayBuffer>, shape[0], 'to'))
  }
  await writer.finish()
}
