import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openFileSource, openSafetensors } from '@reallm/tensor-io'
import { parseConfig, type TfTensor, tf } from '@reallm/transformer'
import { settingsOf } from './settings.ts'

/**
 * Weights of a wider model that start with what a trained, narrower one has learned (Net2Net, Chen et al. 2016, but with
 * new units at their usual random start): the trained values stand first along each axis, heads first in their group. Norms
 * make up for the mean over more channels.
 *
 * @param wide initial weights of the wider model, as many layers, groups of heads and values of a head
 * @param folder of the narrower model
 */
export async function grownWeights(
  wide: Readonly<Record<string, TfTensor>>,
  folder: string,
): Promise<Record<string, TfTensor>> {
  const narrow = await parseConfig(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')))
  const { config } = settingsOf('wide')
  const share = Math.sqrt(narrow.hiddenSize / config.hidden_size)
  const group = (heads: number) => (heads / config.num_key_value_heads) * config.head_dim
  const [from, to] = [group(narrow.source.num_attention_heads as number), group(config.num_attention_heads)]
  const headPlace = (i: number) => Math.floor(i / from) * to + (i % from)
  const samePlace = (i: number) => i

  const file = await openSafetensors(await openFileSource(join(folder, 'model.safetensors')))
  const grown: Record<string, TfTensor> = {}
  for (const [name, initial] of Object.entries(wide)) {
    const { shape, data } = await file.readFloat32(name)
    const values = initial.dataSync().slice()
    const [rows, cols] = shape.length === 1 ? [1, shape[0]] : shape
    const width = initial.shape.at(-1)!
    const [rowPlace, colPlace] = [
      name.includes('q_proj') ? headPlace : samePlace,
      name.includes('o_proj') ? headPlace : samePlace,
    ]
    const factor = shape.length === 1 ? share : 1
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) values[rowPlace(r) * width + colPlace(c)] = factor * data[r * cols + c]
    }
    grown[name] = tf.tensor(values, initial.shape)
    initial.dispose()
  }
  await file.close()
  return grown
}
