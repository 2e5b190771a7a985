import { describe, expect, it } from 'vitest'
import { tensor } from '../../core/tensor.ts'
import { encodeSafetensors } from '../../formats/safetensors/encode.ts'
import { openSafetensors } from '../../formats/safetensors/open.ts'
import { bytesSource } from '../../formats/source/source.ts'
import { parseAdapter } from './parse.ts'
import { readAdapter } from './read.ts'

const module = 'model.layers.0.self_attn.q_proj'
const a = tensor('F32', [4, 2], new Float32Array(8))
const b = tensor('F32', [3, 4], new Float32Array(12))
const factors = (prefix: string) => ({
  [`${prefix}.lora_A.weight`]: a,
  [`${prefix}.lora_B.weight`]: b,
})
const parse = async (config: object, tensors = factors(`base_model.model.${module}`)) =>
  parseAdapter(
    { peft_type: 'LORA', r: 4, lora_alpha: 8, ...config },
    await openSafetensors(bytesSource('x', encodeSafetensors(tensors))),
  )

describe('what an adapter’s configuration says is used, or refused', () => {
  it.each([true, false, null, 'gaussian', 'orthogonal', 'eva'])(
    'init_lora_weights %o keeps the base',
    async init => {
      expect([...(await parse({ init_lora_weights: init })).modules.keys()]).toEqual([module])
    },
  )

  it.each(['pissa', 'pissa_niter_16', 'olora', 'corda', 'loftq', 'lora_ga', 'something new'])(
    'init_lora_weights %s belongs to another base',
    async init => {
      const refused = parse({ init_lora_weights: init })
      await expect(refused).rejects.toThrow(`init_lora_weights "${init}" changed the base model`)
      await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining('merge_and_unload') })
    },
  )

  it.each([
    { trainable_token_indices: [1, 2] },
    { modules_to_save: ['lm_head'] },
    { layer_replication: [[0, 1]] },
    { target_parameters: ['mlp.experts'] },
    { alora_invocation_tokens: [7] },
    { lora_bias: true },
    { fan_in_fan_out: true },
    { use_qalora: true },
    { kasa_config: { beta: 1e-4 } },
    { something_new: 1 },
  ])('%o may change what the weights mean', async config => {
    await expect(parse(config)).rejects.toThrow(`${Object.keys(config)[0]} is not supported`)
  })

  it('an adapter without tensors is no adapter', async () => {
    await expect(parse({}, {})).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringContaining('the adapter holds no tensors'),
    })
  })

  it('settings that are off, and those of training, say nothing', async () => {
    const config = {
      ...{ something_new: null, other: false, layer_replication: [], kasa_config: {} },
      ...{ lora_dropout: 0.1, task_type: 'CAUSAL_LM', qalora_group_size: 16, megatron_core: 'megatron.core' },
      ...{ target_modules: ['q_proj'], loftq_config: { loftq_bits: 4 }, peft_version: '0.21.2' },
    }
    expect((await parse(config)).modules.get(module)!.scaling).toBe(2)
  })

  it('ranks are those of the factors', async () => {
    await expect(parse({ r: 8 })).rejects.toThrow(`${module} has rank 8, its factors 4`)
    expect((await parse({ r: 8, rank_pattern: { q_proj: 4 } })).modules.size).toBe(1)
  })

  it.each([
    ['alpha_pattern', { '(': 3 }, 'pattern "(" is not used'],
    ['alpha_pattern', { '[b-a]': 3 }, 'pattern "[b-a]" of alpha_pattern cannot be read'],
    ['rank_pattern', { '(a+)+': 4 }, 'it repeats what varies'],
    ['rank_pattern', { q_proj: '4' }, 'rank_pattern of "q_proj" is no number'],
    ['rank_pattern', [4], 'rank_pattern is no table'],
    ['alpha_pattern', 'q', 'alpha_pattern is no table'],
  ])('%s %o is refused', async (key, value, message) => {
    await expect(parse({ [key]: value })).rejects.toMatchObject({
      name: 'ReallmError',
      message: expect.stringContaining(message),
    })
  })

  it('magnitudes belong to use_dora', async () => {
    const magnitude = tensor('F32', [3], Float32Array.of(1, 1, 1))
    const tensors = {
      ...factors(`base_model.model.${module}`),
      [`base_model.model.${module}.lora_magnitude_vector`]: magnitude,
    }
    expect((await parse({ use_dora: true }, tensors)).modules.get(module)!.magnitude).toEqual(magnitude)
    await expect(parse({}, tensors)).rejects.toThrow('has a magnitude, but use_dora is not set')
  })
})

describe('names', () => {
  it.each([
    ['of a compiled model', `base_model.model._orig_mod.${module}`],
    ['of a compiled adapter', `_orig_mod.base_model.model.${module}`],
    ['of a multimodal model', `base_model.model.model.language_model.layers.0.self_attn.q_proj`],
    ['of a model without its head', 'base_model.model.layers.0.self_attn.q_proj'],
  ])('%s are understood', async (_, prefix) => {
    expect([...(await parse({}, factors(prefix))).modules.keys()]).toEqual([module])
  })

  it('that mean the same module are refused', async () => {
    const both = {
      ...factors(`base_model.model.${module}`),
      ...factors(`base_model.model._orig_mod.${module}`),
    }
    await expect(parse({}, both)).rejects.toThrow(`the adapter of ${module} is there twice`)
  })

  it('of anything but factors of linear layers are refused', async () => {
    for (const name of [
      'base_model.model.lm_head.weight',
      'base_model.model.model.embed_tokens.lora_embedding_A',
      'a.lora_A.weight',
    ]) {
      await expect(parse({}, { [name]: a })).rejects.toThrow(`the tensor ${name} is no part`)
    }
  })
})

it('says what an adapter is where there is nothing', async () => {
  await expect(readAdapter('./nothing/here')).rejects.toMatchObject({
    code: 'not-found',
    hint: expect.stringMatching(/adapter_config\.json/),
  })
})
