import { describe, expect, it } from 'vitest'
import { modelOf, renamed, tinyConfig, tinyTensors } from '../../../test/tiny-model.ts'
import { openWeights } from '../weights.ts'

const names = Object.keys(tinyTensors())
const headless = { ...tinyConfig, tie_word_embeddings: true }
const withoutHead = () => {
  const { 'lm_head.weight': _, ...tensors } = tinyTensors()
  return tensors
}

describe('tensors of wrapped models', () => {
  it.each([
    '_orig_mod.',
    'module.',
    'module._orig_mod.',
    '_orig_mod.module.',
    '_fsdp_wrapped_module.',
    'base_model.model.',
    'module.base_model.model.',
    'language_model.',
    'model.',
  ])('%s in front is understood', async prefix => {
    const model = await openWeights(await modelOf(renamed(tinyTensors(), name => prefix + name)))
    expect(model.names).toEqual(expect.arrayContaining(names))
    for (const name of names) expect((await model.read(name)).data).toEqual(tinyTensors()[name].data)
    const embedding = await model.read('model.embed_tokens.weight', [1, 3])
    expect(embedding.data).toEqual(tinyTensors()['model.embed_tokens.weight'].data.slice(8, 24))
    expect(model.bytesOf('model.norm.weight')).toBe(32)
    expect(model.warning).toBeUndefined()
  })

  it.each([
    ['AutoModel', (name: string) => name.replace(/^model\./, '')],
    ['AutoModel, compiled', (name: string) => name.replace(/^model\./, '_orig_mod.')],
    ['layers compiled one by one', (name: string) => name.replace(/layers\.\d+/, '$&._orig_mod')],
    ['a multimodal model', (name: string) => name.replace(/^model\./, 'model.language_model.')],
    ['an older multimodal model', (name: string) => `language_model.${name}`],
  ])('of %s are understood', async (_, rename) => {
    const model = await openWeights(await modelOf(renamed(withoutHead(), rename), headless))
    const name = 'model.layers.1.mlp.up_proj.weight'
    expect((await model.read(name)).data).toEqual(tinyTensors()[name].data)
  })

  it('are refused when two mean the same', async () => {
    const twice = { ...tinyTensors(), ...renamed(tinyTensors(), name => `_orig_mod.${name}`) }
    await expect(modelOf(twice).then(files => openWeights(files))).rejects.toThrow(
      /is stored twice, as (_orig_mod\.)?model\.\S+ and as (_orig_mod\.)?model\./,
    )
  })

  it('are named when nothing is understood', async () => {
    const gpt = renamed(tinyTensors(), name => `transformer.${name}`)
    const refused = modelOf(gpt).then(files => openWeights(files))
    await expect(refused).rejects.toThrow(/missing model\.\S+, .* more: there is transformer\.\S+/)
    await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining('rename them') })
  })
})
