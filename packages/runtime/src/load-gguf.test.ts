import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createGgufWriter, openModel, type PlannedGgufTensors, random } from '@reallm/tensor-io'
import { configToGguf, ggufTensors } from '@reallm/tensor-io/gguf'
import { ggufBlockType } from '@reallm/tensor-io/layouts/gguf'
import { allTensors, openWeights, parseConfig } from '@reallm/tensor-io/models'
import { workFolder } from '@reallm/testing/work-folder'
import { expect, it } from 'vitest'
import { distance } from '../test/conformance/distance.ts'
import { randomBlocks } from '../test/conformance/random-blocks.ts'
import { load } from './index.ts'

const folder = workFolder()
const ids = [1, 17, 250, 3, 99, 60, 7]

/** Writes a GGUF file of a small Llama whose matrices are random blocks, of these types by turns. */
async function writeModel(name: string, types: readonly string[]): Promise<string> {
  const config = await parseConfig({
    ...{
      model_type: 'llama',
      vocab_size: 320,
      hidden_size: 256,
      intermediate_size: 512,
      num_hidden_layers: 2,
    },
    ...{
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: 64,
      tie_word_embeddings: false,
    },
  })
  const path = join(folder, name)
  const inGguf = ggufTensors(config)
  const planned: Record<string, PlannedGgufTensors[string]> = {}
  for (const [tensor, shape] of allTensors(config)) {
    const type = shape.length === 1 ? 'F32' : types[Object.keys(planned).length % types.length]
    planned[inGguf.get(tensor)!.name] = { type, shape }
  }
  const writer = await createGgufWriter(path, configToGguf(config).metadata, planned)
  for (const [tensor, { type, shape }] of Object.entries(planned)) {
    if (type === 'F32') {
      await writer.write(tensor, new Float32Array(shape[0]).fill(1))
      continue
    }
    const { block, bytes } = ggufBlockType(type)
    const { data } = randomBlocks(type).parts.blocks
    const all = new Uint8Array(((shape[0] * shape[1]) / block) * bytes)
    const whole = Math.floor(data.length / bytes) * bytes
    for (let at = 0; at < all.length; at += whole) {
      all.set((data as Uint8Array).subarray(0, Math.min(whole, all.length - at)), at)
    }
    await writer.writeBlocks(tensor, all)
  }
  await writer.finish()
  return path
}

it.each([
  ['K types', ['Q4_K', 'Q6_K', 'Q2_K', 'Q5_K', 'Q3_K']],
  ['types of 32 weights', ['Q4_1', 'Q8_0', 'Q5_0', 'Q4_0', 'Q5_1', 'IQ4_NL']],
  ['lattices', ['IQ2_XS', 'IQ3_S', 'IQ4_XS', 'IQ1_M', 'IQ3_XXS']],
])('runs a GGUF of %s without loss, expanded and as stored', async (name, types) => {
  const path = await writeModel(`${name}.gguf`, types)
  const model = await load(path, { tokenizer: false, kvCache: 'f32' })
  using packed = await load(path, { tokenizer: false, kvCache: 'f32', maxMemory: 1 })
  const exact = await load(path, { tokenizer: false, weights: 'f32', device: 'reference' })
  expect([model.weights, packed.weights, exact.weights]).toEqual(['expanded', 'packed', 'f32'])
  const { size } = await stat(path)
  // norms, rotary tables and scratch space beside the blocks
  expect(packed.bytes).toBeLessThan(size + 700_000)
  expect(model.bytes).toBeLessThan(1.25 * (exact.bytes / 4) + 700_000)
  expect(exact.bytes).toBeGreaterThan(3 * size)
  const [session, judge] = [model.session(), exact.session()]
  const [got, want] = [await session.logits(ids), await judge.logits(ids)]
  expect(distance(got, want)).toBeLessThan(1e-3)
  using other = packed.session()
  expect(distance(await other.logits(ids), got)).toBeLessThan(1e-4)
  const single = model.session()
  const row = model.config.vocabSize
  for (const [t, id] of ids.entries()) {
    const logits = await single.next(id)
    expect(distance(logits, got.subarray(t * row, (t + 1) * row))).toBeLessThan(1e-4)
  }
  for (const made of [session, judge, single, model, exact]) made.dispose()
})

it('expands types of 4 bits where three quarters of a byte for each weight fit', async () => {
  const path = await writeModel('fours.gguf', ['Q4_K', 'Q4_1', 'Q3_K'])
  const held = async (maxMemory: number) => {
    using model = await load(path, { tokenizer: false, maxMemory })
    return [model.weights, model.bytes] as const
  }
  const [, bytes] = await held(2 ** 31)
  const weights = 320 * 256 * 2 + 2 * (256 * 256 * 2 + 256 * 128 * 2 + 3 * 256 * 512)
  expect(await held(0.75 * weights)).toEqual(['expanded', bytes])
  expect((await held(0.74 * weights))[0]).toBe('packed')
  expect(bytes).toBeLessThan(0.75 * weights + 700_000)
})

it('gives rows of llama.cpp’s queries and keys in Hugging Face’s order, and no blocks of plain floats', async () => {
  const path = await writeModel('order.gguf', ['Q4_K', 'Q5_1'])
  const files = await openModel(path)
  const model = await openWeights(files)
  const name = 'model.layers.1.self_attn.q_proj.weight'
  const stored = await model.stored(name)!.read()
  const { data } = await model.read(name)
  const { decode } = await import('./backend/reference/decode.ts')
  expect(decode(stored).data).toEqual(data)
  expect(model.stored('model.norm.weight')).toBeUndefined()
  await model.close()
})

it.each(['token_embd', 'blk.0.attn_k', 'blk.1.ffn_down'])(
  'writes nothing from a scale of %s that is no number',
  async name => {
    const path = await writeModel('nan.gguf', ['Q8_0'])
    const files = await openModel(path)
    const { start } = files.tensors.get(`${name}.weight`)! as unknown as { start: number }
    await files.close()
    const file = await open(path, 'r+')
    // the scale of the first block of its row 60, a half
    await file.write(Uint8Array.of(0x00, 0x7e), 0, 2, start + 60 * (256 / 32) * 34)
    await file.close()
    using model = await load(path, { tokenizer: false })
    using session = model.session()
    await expect(session.draw(ids, { random: random(0) })).rejects.toMatchObject({ code: 'numeric' })
  },
)
