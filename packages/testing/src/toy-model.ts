import { join } from 'node:path'
import {
  createArtifactWriter,
  defineCodec,
  type MatrixCodec,
  matrix,
  openModel,
  tensor,
  toMatrix,
} from '@reallm/tensor-io'
import { charTokenizerFiles } from './char-tokenizer.ts'
import { writeRandomModel } from './random-model.ts'

const source = {
  model_type: 'llama',
  vocab_size: 97,
  hidden_size: 24,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 32,
  rope_theta: 10_000,
  tie_word_embeddings: true,
  eos_token_id: 95,
}

/** Rounds to multiples of a third of the largest weight: coarse enough to hurt. */
export const coarse: MatrixCodec = defineCodec({
  layout: {
    codec: 'coarse',
    params: {},
    parts: ([rows, cols]) => ({
      codes: { dtype: 'I8', shape: [rows, cols] },
      scale: { dtype: 'F32', shape: [1] },
    }),
  },
  async encode(w) {
    const scale = w.data.reduce((most, v) => Math.max(most, Math.abs(v)), 0) / 3
    return {
      parts: {
        codes: tensor(
          'I8',
          [w.rows, w.cols],
          Int8Array.from(w.data, v => Math.round(v / scale)),
        ),
        scale: tensor('F32', [1], Float32Array.of(scale)),
      },
    }
  },
  decode: ({ parts, shape }) =>
    matrix(
      Array.from(parts.codes.data as Int8Array, v => v * Number(parts.scale.data[0])),
      shape,
    ),
})

export interface ToyOptions {
  /** Other sizes. */
  readonly config?: Partial<typeof source>
  /** Other weights of some matrices. */
  readonly weights?: (name: string, rows: number, cols: number) => Float32Array<ArrayBuffer> | undefined
}

/** Writes a toy model with random weights, and an artifact that stores its blocks' matrices coarsely. */
export async function writeToyModels(
  directory: string,
  options: ToyOptions = {},
): Promise<{ original: string; artifact: string }> {
  const config = { ...source, ...options.config }
  const [original, artifact] = [join(directory, 'original'), join(directory, 'artifact')]
  const tensors = await writeRandomModel(original, config, {
    tokenizer: charTokenizerFiles,
    values: (name, shape) => (shape.length === 2 ? options.weights?.(name, shape[0], shape[1]) : undefined),
  })
  const files = await openModel(original)
  const writer = await createArtifactWriter(artifact, { config, filesOf: files })
  for (const [name, stored] of Object.entries(tensors)) {
    if (/_proj\.weight$/.test(name)) {
      await writer.addMatrix(name.slice(0, -7), await coarse.encode(toMatrix(stored), {}, { seed: 0 }))
    } else {
      await writer.addTensor(name, stored)
    }
  }
  await writer.finish()
  await files.close()
  return { original, artifact }
}
