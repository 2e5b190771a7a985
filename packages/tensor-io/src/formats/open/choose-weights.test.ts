import { describe, expect, it } from 'vitest'
import { chooseWeights, passedOver } from './choose-weights.ts'

const index = 'model.safetensors.index.json'
const shards = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors']
const dir = (...names: string[]) => ({ name: 'dir', names })

describe('chooseWeights', () => {
  it('takes what transformers takes: the whole file before an index, and says so', () => {
    const both = dir('config.json', 'model.safetensors', index, ...shards)
    expect(chooseWeights(both, 'model')).toBe('model.safetensors')
    expect(passedOver(both, 'model.safetensors')).toBe(`model.safetensors is read; ${index} beside it is not`)
    expect(chooseWeights(dir(index, ...shards), 'model')).toBe(index)
    expect(passedOver(dir(index, ...shards), index)).toBeUndefined()
    expect(passedOver(dir('model.safetensors'), 'model.safetensors')).toBeUndefined()
  })

  it('takes the index of an artifact, which has the checksums', () => {
    expect(chooseWeights(dir('model.safetensors', index), 'artifact')).toBe(index)
    expect(chooseWeights(dir('model.safetensors'), 'artifact')).toBe('model.safetensors')
  })

  it('takes an adapter alone where it lies alone, and where it is asked for', () => {
    const adapter = dir('adapter_config.json', 'adapter_model.safetensors')
    const beside = dir(...adapter.names, 'model.safetensors', index)
    expect(chooseWeights(adapter, 'model')).toBe('adapter_model.safetensors')
    expect(chooseWeights(beside, 'model')).toBe('model.safetensors')
    expect(chooseWeights(beside, 'adapter')).toBe('adapter_model.safetensors')
    expect(() => chooseWeights(dir('model.safetensors'), 'adapter')).toThrow('there is no adapter_model')
  })

  it('names pickle files and how to convert them', () => {
    const hint = (wanted: 'model' | 'adapter', ...names: string[]) => {
      try {
        return chooseWeights(dir(...names), wanted)
      } catch (error) {
        return (error as { hint: string }).hint
      }
    }
    for (const name of ['pytorch_model.bin', 'pytorch_model-00001-of-00002.bin', 'consolidated.00.pth']) {
      expect(hint('model', 'config.json', name)).toMatch(`${name} is a pickle file`)
    }
    expect(hint('model', 'pytorch_model.bin')).toMatch("from_pretrained('dir').save_pretrained('NEW')")
    expect(hint('adapter', 'adapter_model.bin')).toMatch("torch.load('adapter_model.bin', weights_only=True)")
    expect(hint('model', 'config.json', 'training_args.bin', 'optimizer.pt')).toMatch('a model directory has')
  })

  it('asks which of several files is meant, and for the index of shards', () => {
    const refused = (...names: string[]) => expect(() => chooseWeights(dir(...names), 'model'))
    refused('x.safetensors', 'y.safetensors').toThrow('which of its 2 .safetensors files is meant?')
    refused(...shards).toThrow(
      expect.objectContaining({
        hint: expect.stringContaining(`are shards: put their ${index} beside them`),
      }),
    )
  })
})
