import { createGgufWriter, type GgufValue } from '@reallm/tensor-io'
import { configToGguf, ggufTensors, ggufValues } from '@reallm/tensor-io/gguf'
import { allTensors, attentionsOf, type ModelWeights } from '@reallm/tensor-io/models'

/**
 * Writes a model as llama.cpp's converter does: its names, its order of q and k, norms with Gemma's 1 added; of windows the
 * width alone.
 */
export async function writeAsGguf(model: ModelWeights, path: string, more: Record<string, GgufValue> = {}) {
  const { config } = model
  const { metadata } = configToGguf(config)
  const architecture = metadata['general.architecture'].value
  const { [`${architecture}.attention.sliding_window_pattern`]: _, ...told } = metadata
  const window = attentionsOf(config.layerSpecs)
    .map(({ window }) => window)
    .find(w => w !== undefined)
  const windowed: Record<string, GgufValue> =
    window === undefined
      ? {}
      : { [`${architecture}.attention.sliding_window`]: { type: 'uint32', value: window } }
  const shapes = allTensors(config)
  const inGguf = ggufTensors(config)
  const planned = Object.fromEntries(
    [...shapes].map(([name, shape]) => [inGguf.get(name)!.name, { type: 'F32' as const, shape }]),
  )
  const writer = await createGgufWriter(path, { ...told, ...windowed, ...more }, planned)
  for (const [name, shape] of shapes) {
    const { data } = await model.read(name)
    const stored = inGguf.get(name)!
    await writer.write(stored.name, ggufValues(stored, data as Float32Array<ArrayBuffer>, shape[0], 'to'))
  }
  await writer.finish()
}
