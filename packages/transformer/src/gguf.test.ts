import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configFromGguf, ggufTensors, permuteHeads } from '@reallm/tensor-io/gguf'
import { attentionsOf, openWeights, parseConfig, rope } from '@reallm/tensor-io/models'
import { fixture, goldenModels } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeAsGguf } from '../test/as-gguf.ts'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'gguf-'))
})
afterAll(() => rm(scratch, { recursive: true }))

describe('a GGUF file', () => {
  it.each(goldenModels)('of %s reads as the Hugging Face directory does', async name => {
    const original = await openWeights(fixture(`models/${name}`))
    const path = join(scratch, `${name}.gguf`)
    await writeAsGguf(original, path)
    const model = await openWeights(path)
    const { source: _, layerSpecs, bos, eos, ...config } = original.config
    expect(model.config).toMatchObject(config)
    // llama.cpp's converter does not tell which layers slide: Gemma's are all but every sixth.
    if (name !== 'gemma3-text') expect(model.config.layerSpecs).toEqual(layerSpecs)
    expect(model.names).toEqual(original.names)
    for (const tensor of model.names) {
      const [got, want] = [await model.read(tensor), await original.read(tensor)]
      expect(got.shape).toEqual(want.shape)
      expect(Math.max(...got.data.map((w, k) => Math.abs(w - want.data[k])))).toBeLessThan(
        name === 'gemma3-text' || tensor.endsWith('.A_log') ? 1e-6 : 1e-12,
      )
    }
    const q = `${attentionsOf(model.config.layerSpecs).at(-1)!.query.module.name}.weight`
    expect(await model.read(q, [2, 5])).toEqual(await original.read(q, [2, 5]))
    await model.close()
    await original.close()
  })
})

describe('permuteHeads', () => {
  it('interleaves the halves of each head, and undoes it', async () => {
    const rows = Float32Array.of(0, 1, 2, 3, 10, 11, 12, 13)
    const stored = permuteHeads(rows, 8, 2, false)
    expect([...stored]).toEqual([0, 2, 1, 3, 10, 12, 11, 13])
    expect(permuteHeads(stored, 8, 2, true)).toEqual(rows)
  })
})

describe('ggufTensors', () => {
  it.each([
    ['llama-gqa-tied', 'model.layers.1.post_attention_layernorm.weight', 'blk.1.ffn_norm.weight'],
    ['gemma3-text', 'model.layers.0.post_attention_layernorm.weight', 'blk.0.post_attention_norm.weight'],
    ['qwen2-bias', 'model.layers.1.self_attn.q_proj.bias', 'blk.1.attn_q.bias'],
    ['mistral-untied', 'lm_head.weight', 'output.weight'],
    ['lfm2', 'model.embedding_norm.weight', 'token_embd_norm.weight'],
    ['lfm2', 'model.layers.0.conv.conv.weight', 'blk.0.shortconv.conv.weight'],
    ['granitemoehybrid', 'model.layers.0.mamba.A_log', 'blk.0.ssm_a'],
    ['granitemoehybrid', 'model.layers.1.shared_mlp.input_linear.weight', 'blk.1.ffn_gate.weight'],
    ['granitemoehybrid', 'model.layers.0.mamba.dt_bias', 'blk.0.ssm_dt.bias'],
    ['qwen3_5_text', 'model.layers.0.post_attention_layernorm.weight', 'blk.0.post_attention_norm.weight'],
    ['qwen3_5_text', 'model.layers.0.linear_attn.in_proj_z.weight', 'blk.0.attn_gate.weight'],
    ['qwen3_5_text', 'model.layers.0.linear_attn.in_proj_a.weight', 'blk.0.ssm_alpha.weight'],
  ])('%s %s', async (family, name, stored) => {
    const path = fixture(`models/${family}/config.json`)
    const config = await parseConfig(JSON.parse(await readFile(path, 'utf8')))
    expect(ggufTensors(config).get(name)?.name).toBe(stored)
  })
})

describe('configFromGguf', () => {
  const metadata = {
    'general.architecture': 'llama',
    'llama.block_count': 1,
    'llama.context_length': 131072,
    'llama.embedding_length': 256,
    'llama.feed_forward_length': 512,
    'llama.attention.head_count': 4,
    'llama.attention.layer_norm_rms_epsilon': Math.fround(1e-5),
    'llama.rope.freq_base': 500000,
  }
  const tensors = new Map([['token_embd.weight', { shape: [1000, 256] }]])

  it('finds Llama 3’s rope scaling behind the stored quotients', async () => {
    const scaling = { rope_type: 'llama3', rope_theta: 500000, factor: 8 }
    const plain = rope({ rope_theta: 500000 }, 64, 131072).inverseFrequencies
    const scaled = rope(scaling, 64, 131072).inverseFrequencies
    const factors = Float32Array.from(plain, (f, i) => f / scaled[i])
    const { layerSpecs, norm } = await parseConfig(
      await configFromGguf(metadata, tensors, { 'rope_freqs.weight': factors }),
    )
    const { inverseFrequencies } = attentionsOf(layerSpecs)[0].rope!
    for (const [i, f] of scaled.entries()) expect(inverseFrequencies[i] / f).toBeCloseTo(1, 6)
    expect(norm.eps).toBe(1e-5)
    const other = { 'rope_freqs.weight': factors.map(f => f * f) }
    await expect(configFromGguf(metadata, tensors, other)).rejects.toThrow('rope_freqs.weight')
  })

  it('reads yarn', async () => {
    const yarn = {
      'llama.rope.scaling.type': 'yarn',
      'llama.rope.scaling.factor': 4,
      'llama.rope.scaling.original_context_length': 32768,
    }
    const { layerSpecs } = await parseConfig(await configFromGguf({ ...metadata, ...yarn }, tensors))
    expect(attentionsOf(layerSpecs)[0].rope?.scale).toBeCloseTo(0.1 * Math.log(4) + 1)
  })

  it('names what is missing or unknown', async () => {
    const { 'llama.block_count': _, ...rest } = metadata
    await expect(configFromGguf(rest, tensors)).rejects.toThrow('llama.block_count')
    await expect(configFromGguf({ 'general.architecture': 'mamba' }, tensors)).rejects.toThrow('mamba')
  })
})
