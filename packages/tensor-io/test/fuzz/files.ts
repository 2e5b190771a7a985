import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { createGgufWriter, openGguf } from '../../src/formats/gguf/index.ts'
import {
  bytesSource,
  encodeSafetensors,
  openFiles,
  openSafetensors,
  type TensorStore,
  tensor,
} from '../../src/index.ts'
import { bytesDamage, damagedBytes, damagedJson, jsonDamage } from './damage.ts'
import { type Check, target } from './target.ts'

const values = Float32Array.from({ length: 128 }, (_, i) => Math.sin(i))
const safetensors = encodeSafetensors(
  {
    a: tensor('F32', [2, 64], values),
    b: tensor('BF16', [], Uint16Array.of(1)),
    c: tensor('U8', [3, 0, 5], new Uint8Array(0)),
  },
  { format: 'pt', 'reallm.matrix': '{"codec":"grid"}' },
)
const folder = mkdtempSync(join(tmpdir(), 'reallm-fuzz-'))
const writer = await createGgufWriter(
  join(folder, 'x.gguf'),
  {
    'general.architecture': { type: 'string', value: 'llama' },
    'general.alignment': { type: 'uint32', value: 32 },
    'tokenizer.ggml.tokens': { type: 'string', value: ['a', 'bc', '', 'def'] },
    'tokenizer.ggml.scores': { type: 'float32', value: [1, 2, 3] },
    'llama.context_length': { type: 'uint64', value: 512 },
  },
  { q: { type: 'Q8_0', shape: [2, 64] }, h: { type: 'F16', shape: [128] } },
)
for (const name of ['q', 'h']) await writer.write(name, values)
await writer.finish()
const gguf = new Uint8Array(readFileSync(writer.path))
rmSync(folder, { recursive: true })

const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
const index = {
  metadata: {
    total_size: 1024,
    bytes: { [shards[0]]: 0 },
    sha256: { [shards[0]]: 'ab' },
    blocks: { size: 4096, sha256: { [shards[0]]: ['ab'] } },
  },
  weight_map: { a: shards[0], b: shards[0], c: shards[0], d: shards[1] },
}
const second = encodeSafetensors({ d: tensor('F32', [2, 64], values) })
const textSource = (name: string, json: object) => ({
  name,
  source: bytesSource(name, new TextEncoder().encode(JSON.stringify(json))),
})

async function readAll(store: TensorStore): Promise<void> {
  for (const name of store.tensors.keys()) await store.readFloat32(name)
}

/** Binary files that strangers write, and the index that puts them together. */
export const files: Readonly<Record<string, Check>> = {
  safetensors: target({ bytes: safetensors.length, names: /x\.safetensors/ }, bytesDamage, async damage =>
    readAll(await openSafetensors(bytesSource('x.safetensors', damagedBytes(safetensors, damage)))),
  ),
  GGUF: target({ bytes: gguf.length, names: /x\.gguf/ }, bytesDamage, async damage =>
    readAll(await openGguf(bytesSource('x.gguf', damagedBytes(gguf, damage)))),
  ),
  noise: target(
    { bytes: 400, names: /x\.(gguf|safetensors)/ },
    fc.uint8Array({ maxLength: 400 }),
    async bytes => {
      await openGguf(bytesSource('x.gguf', bytes)).catch((error: unknown) => {
        if (!/x\.gguf/.test(String(error))) throw error
      })
      await openSafetensors(bytesSource('x.safetensors', bytes))
    },
  ),
  'shard index': target(
    { bytes: safetensors.length + second.length, names: /\.json|safetensors/ },
    jsonDamage,
    async damage =>
      readAll(
        await openFiles([
          textSource('model.safetensors.index.json', damagedJson(index, damage)),
          { name: shards[0], source: bytesSource(shards[0], safetensors) },
          { name: shards[1], source: bytesSource(shards[1], second) },
        ]),
      ),
  ),
}
