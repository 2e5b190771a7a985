import { createGgufWriter, type GgufValue } from '@reallm/tensor-io'
import { configToGguf, ggufStacks, ggufTensors, partsToWrite, storedParts } from '@reallm/tensor-io/gguf'
import { allTensors, attentionsOf, type ModelWeights, stackBuilder } from '@reallm/tensor-io/models'

/**
 * Writes a model as llama.cpp's converter does: its names, its order of q and k, norms with Gemma's 1 added; of windows the
 * width alone, except Gemma 4's.
 */
export async function writeAsGguf(model: ModelWeights, path: string, more: Record<string, GgufValue> = {}) {
  const { config } = model
  const { metadata, ropeTensors } = configToGguf(config)
  const architecture = metadata['general.architecture'].value
  const { [`${architecture}.attention.sliding_window_pattern`]: pattern, ...others } = metadata
  const told =
    architecture === 'gemma4'
      ? { ...others, [`${architecture}.attention.sliding_window_pattern`]: pattern }
      : others
  const window = attentionsOf(config.layerSpecs)
    .map(({ window }) => window)
    .find(w => w !== undefined)
  const windowed: Record<string, GgufValue> =
    window === undefined
      ? {}
      : { [`${architecture}.attention.sliding_window`]: { type: 'uint32', value: window } }
  const shapes = allTensors(config)
  const inGguf = ggufTensors(config)
  const ropes = Object.entries(ropeTensors)
  const planned = Object.fromEntries([
    ...ropes.map(([name, { length }]) => [name, { type: 'F32' as const, shape: [length] }]),
    ...[...shapes].flatMap(([name, shape]) =>
      storedParts(inGguf.get(name)!, shape).map(part => [
        part.name,
        { type: 'F32' as const, shape: part.shape },
      ]),
    ),
  ])
  const writer = await createGgufWriter(path, { ...told, ...windowed, ...more }, planned)
  for (const [name, values] of ropes) await writer.write(name, values)
  const stacks = stackBuilder(ggufStacks(inGguf))
  for (const [name, shape] of shapes) {
    const { data } = await model.read(name)
    const whole = stacks.add({ name, shape, values: data as Float32Array<ArrayBuffer> })
    if (!whole) continue
    const stored = inGguf.get(whole.name) ?? { name: whole.name, interleavedHeads: 0, added: 0 }
    for (const part of partsToWrite(stored, whole.values, whole.shape)) {
      await writer.write(part.name, part.values)
    }
  }
  await writer.finish()
}
