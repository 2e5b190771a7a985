import { describe, expect, it } from 'vitest'
import { parseConfig } from './config.ts'
import { configFromGguf, inGgufWords } from './config-from-gguf.ts'
import { attentionsOf, type LayerSpec, mlpsOf } from './layer-spec.ts'

const file = (
  architecture: string,
  own: Record<string, unknown> = {},
  rest: Record<string, unknown> = {},
) => ({
  'general.architecture': architecture,
  ...Object.fromEntries(
    Object.entries({
      block_count: 4,
      context_length: 512,
      embedding_length: 64,
      feed_forward_length: 128,
      'attention.head_count': 4,
      'attention.layer_norm_rms_epsilon': Math.fround(1e-6),
      ...own,
    }).map(([key, value]) => [`${architecture}.${key}`, value]),
  ),
  ...rest,
})
const read = async (metadata: Record<string, unknown>, ...tensors: string[]) => {
  const names = ['token_embd.weight', ...tensors]
  return parseConfig(await configFromGguf(metadata, new Map(names.map(name => [name, { shape: [100, 64] }]))))
}
const windowsOf = async (metadata: Record<string, unknown>) =>
  attentionsOf((await read(metadata)).layerSpecs).map(({ window }) => window)

describe('a configuration in GGUF', () => {
  it.each([
    ['a Llama', file('llama'), [undefined, undefined, undefined, undefined]],
    ['a Mistral', file('llama', { 'attention.sliding_window': 8 }), [8, 8, 8, 8]],
    ['a Qwen 2', file('qwen2', { 'attention.sliding_window': 8 }), [8, 8, 8, 8]],
    [
      'a Qwen 3 that says which',
      file('qwen3', {
        'attention.sliding_window': 8,
        'attention.sliding_window_pattern': [true, false, false, true],
      }),
      [8, undefined, undefined, 8],
    ],
    [
      'a Gemma 3',
      file('gemma3', { block_count: 7, 'attention.sliding_window': 8 }),
      [8, 8, 8, 8, 8, undefined, 8],
    ],
    [
      'a Gemma 3 of another period',
      file('gemma3', { 'attention.sliding_window': 8, 'attention.sliding_window_pattern': 2 }),
      [8, undefined, 8, undefined],
    ],
    ['a Gemma 3 without windows', file('gemma3'), [undefined, undefined, undefined, undefined]],
  ])('has the windows of %s', async (_, metadata, windows) => {
    expect(await windowsOf(metadata)).toEqual(windows)
  })

  it.each([
    [{ block_count: 0 }, 'llama.block_count must be a positive integer, got 0'],
    [{ 'attention.head_count': 'four' }, 'llama.attention.head_count is missing or no number'],
    [{ 'rope.freq_base': -1 }, 'llama.rope.freq_base must be a positive number, got -1'],
  ])('with %j is refused in the words of the file', async (own, message) => {
    const metadata = file('llama', own)
    await expect(inGgufWords({ spec: 'x.gguf', metadata }, () => read(metadata))).rejects.toMatchObject({
      ...{ code: 'bad-file', message: `x.gguf: its metadata: ${message}` },
    })
  })

  it('has the biases that are stored', async () => {
    const biases = async (...tensors: string[]) => (await read(file('llama'), ...tensors)).layerSpecs[0]
    expect(mlpsOf((await biases('blk.0.ffn_up.bias')).ffn)[0].down.bias).toBe(true)
    expect((await biases('blk.0.attn_q.bias')).mixer.output.bias).toBe(true)
    expect(mlpsOf((await biases()).ffn)[0].up.module.bias).toBe(false)
  })

  it('has Gemma’s own theta, soft cap and scales', async () => {
    const windowed = { 'attention.sliding_window': 8, 'rope.freq_base': 1e6 }
    const config = await read(
      file('gemma3', { ...windowed, 'rope.freq_base_swa': 100, final_logit_softcapping: 30 }),
    )
    expect(config.logitSoftcap).toBe(30)
    const frequency = ([first]: readonly LayerSpec[]) => attentionsOf([first])[0].rope!.inverseFrequencies[1]
    expect(frequency(config.layerSpecs)).toBeCloseTo(100 ** (-2 / 16), 12)
    expect(frequency((await read(file('gemma3', windowed))).layerSpecs)).toBeCloseTo(10_000 ** (-2 / 16), 12)
    // Gemma's checkpoints are bfloat16; a file may say that √width is meant exactly.
    expect(
      (await read(file('gemma3', { embedding_length: 72, 'attention.key_length': 18 }))).embeddingScale,
    ).toBe(8.5)
    const exact = {
      embedding_length: 72,
      'attention.key_length': 18,
      embedding_scale: Math.fround(Math.sqrt(72)),
    }
    expect((await read(file('gemma3', exact))).embeddingScale).toBe(Math.sqrt(72))
  })

  it('has all ids that end a text', async () => {
    const ids = {
      'tokenizer.ggml.bos_token_id': 1,
      'tokenizer.ggml.eos_token_id': 2,
      'tokenizer.ggml.eot_token_id': 7,
    }
    expect(await read(file('llama', {}, ids))).toMatchObject({ bos: 1, eos: [2, 7] })
    expect((await read(file('llama'))).eos).toEqual([])
  })
})
