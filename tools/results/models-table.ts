import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './schema.ts'

const json = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'))
const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`

/** The models that npm packages of this repository hold. */
export function modelsTable(): string {
  const { metadata } = json('packages/smollm2/model/model.safetensors.index.json')
  const { quantization_config, num_hidden_layers, hidden_size } = json('packages/smollm2/model/config.json')
  const matrices = Object.values<{ shape: [number, number] }>(quantization_config.modules)
  const weights =
    matrices.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0) +
    (2 * num_hidden_layers + 1) * hidden_size
  const { parameters, figures } = json('docs/public/models/figures.json') as {
    parameters: number
    figures: { name: string; bytes: number }[]
  }
  const bytesOf = (name: string) => mb(figures.find(figure => figure.name === name)!.bytes)
  const millions = (count: number) => `${(count / 1e6).toPrecision(3)} million`
  const rows = [
    ['model', 'weights', 'size', 'of the original in bf16', 'licence', 'for'],
    ['---', '--:', '--:', '--:', '---', '---'],
    [
      '`@reallm/smollm2`, SmolLM2-135M-Instruct',
      millions(weights),
      `${mb(metadata.total_size)}, ${((8 * metadata.total_size) / weights).toFixed(2)} bits per weight`,
      mb(2 * weights),
      'Apache-2.0',
      'short answers in a page, first steps in fine-tuning',
    ],
    [
      '`@reallm/tiny`, the embedded model',
      millions(parameters),
      `${bytesOf('tiny')}; ${bytesOf('tiny-3')} at 3 bits`,
      bytesOf('tiny'),
      'CC0',
      'tests and examples: it writes English and knows nothing',
    ],
  ]
  return rows.map(row => `| ${row.join(' | ')} |`).join('\n')
}
