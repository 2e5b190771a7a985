import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { random } from '../../../packages/tensor-io/src/index.ts'

/** Blocks of a Llama-like model. */
export interface BlockShape {
  readonly layers: number
  readonly hidden: number
  readonly inner: number
  readonly heads: number
  readonly kvHeads: number
  /** Default 2048. */
  readonly vocabulary?: number | undefined
}

/** Weights of a piece that is repeated. */
const pieceWeights = 2 ** 20

/** Writes a model of normally distributed weights, one piece of them over and over, in bfloat16. Returns the weights of its blocks. */
export function writeBlocks(folder: string, shape: BlockShape): number {
  const { layers, hidden, inner, heads, kvHeads, vocabulary = 2048 } = shape
  const kv = (hidden / heads) * kvHeads
  const tensors: (readonly [name: string, shape: readonly number[]])[] = [
    ['model.embed_tokens.weight', [vocabulary, hidden]],
    ['model.norm.weight', [hidden]],
  ]
  const linear = { q: [hidden, hidden], k: [kv, hidden], v: [kv, hidden], o: [hidden, hidden] } as const
  for (let i = 0; i < layers; i++) {
    const at = `model.layers.${i}`
    tensors.push(
      [`${at}.input_layernorm.weight`, [hidden]],
      [`${at}.post_attention_layernorm.weight`, [hidden]],
    )
    for (const [name, of] of Object.entries(linear)) tensors.push([`${at}.self_attn.${name}_proj.weight`, of])
    for (const name of ['gate', 'up']) tensors.push([`${at}.mlp.${name}_proj.weight`, [inner, hidden]])
    tensors.push([`${at}.mlp.down_proj.weight`, [hidden, inner]])
  }
  mkdirSync(folder, { recursive: true })
  writeTensors(join(folder, 'model.safetensors'), tensors)
  const config = {
    ...{
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      torch_dtype: 'bfloat16',
      hidden_act: 'silu',
    },
    ...{ vocab_size: vocabulary, hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers },
    ...{ num_attention_heads: heads, num_key_value_heads: kvHeads, max_position_embeddings: 2048 },
    ...{ rms_norm_eps: 1e-5, rope_theta: 10000, tie_word_embeddings: true, bos_token_id: 1, eos_token_id: 2 },
  }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  const perLayer = 2 * hidden * (hidden + kv) + 3 * hidden * inner
  return layers * perLayer
}

function writeTensors(path: string, tensors: readonly (readonly [string, readonly number[]])[]): void {
  const header: Record<string, unknown> = {}
  let at = 0
  for (const [name, shape] of tensors) {
    const bytes = 2 * shape.reduce((size, side) => size * side, 1)
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + bytes] }
    at += bytes
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const file = openSync(path, 'w')
  for (const part of [length, text]) writeSync(file, part)
  const piece = normalPiece()
  const ones = Buffer.from(Uint16Array.from({ length: 2 ** 14 }, () => 0x3f80).buffer)
  for (const [, shape] of tensors) {
    let left = 2 * shape.reduce((size, side) => size * side, 1)
    const from = shape.length === 1 ? ones : piece
    for (; left > 0; left -= from.length) writeSync(file, from, 0, Math.min(left, from.length))
  }
  closeSync(file)
}

/** Standard deviation 0.02, as bfloat16. */
function normalPiece(): Buffer {
  const { normal } = random(1)
  const floats = Float32Array.from({ length: pieceWeights }, () => 0.02 * normal())
  const words = new Uint32Array(floats.buffer)
  return Buffer.from(Uint16Array.from(words, word => word >>> 16).buffer)
}
