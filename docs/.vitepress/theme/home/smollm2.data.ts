// Read when the site is built: what the package with the real model weighs.
import { readFileSync } from 'node:fs'
import { defineLoader } from 'vitepress'

/** Figures of `@reallm/smollm2`. */
export interface RealModel {
  /** Of its weight files. */
  readonly bytes: number
  readonly parameters: number
  readonly bitsPerWeight: number
}

declare const data: RealModel

export { data }

const folder = new URL('../../../../packages/smollm2/model/', import.meta.url)
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'))

export default defineLoader({
  load(): RealModel {
    const { hidden_size, num_hidden_layers, quantization_config } = read('config.json')
    const shapes = Object.values<{ shape: number[] }>(quantization_config.modules).map(({ shape }) => shape)
    const norms = (2 * num_hidden_layers + 1) * hidden_size
    const parameters = shapes.reduce((sum, [rows, cols]) => sum + rows * cols, norms)
    const { total_size: bytes } = read('model.safetensors.index.json').metadata
    return { bytes, parameters, bitsPerWeight: (8 * bytes) / parameters }
  },
})
