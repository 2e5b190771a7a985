import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { random, seedFor, sizeOf, type Tensor, tensor, writeSafetensors } from '@reallm/tensor-io'
import { allTensors, type HuggingFaceConfig, parseConfig } from '@reallm/tensor-io/models'
import type { TokenizerFiles } from '@reallm/tensor-io/tokenizer'

export interface RandomModelOptions {
  readonly tokenizer?: TokenizerFiles
  /** Other values of some tensors; otherwise matrices are random and vectors all ones. */
  readonly values?: (name: string, shape: readonly number[]) => Float32Array<ArrayBuffer> | undefined
}

/** Writes a model directory of a configuration with random float32 weights, and returns its tensors. */
export async function writeRandomModel(
  folder: string,
  config: HuggingFaceConfig,
  { tokenizer, values }: RandomModelOptions = {},
): Promise<Record<string, Tensor<'F32'>>> {
  mkdirSync(folder, { recursive: true })
  const tensors = Object.fromEntries(
    [...allTensors(await parseConfig(config))].map(([name, shape]) => {
      const draw = random(seedFor(3, name))
      const value = () => (shape.length === 1 ? 1 : 0.3 * draw.normal())
      return [
        name,
        tensor('F32', shape, values?.(name, shape) ?? Float32Array.from({ length: sizeOf(shape) }, value)),
      ]
    }),
  )
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  const files = { config, tokenizer: tokenizer?.tokenizer, tokenizer_config: tokenizer?.config }
  for (const [name, json] of Object.entries(files)) {
    if (json) writeFileSync(join(folder, `${name}.json`), JSON.stringify(json))
  }
  return tensors
}
