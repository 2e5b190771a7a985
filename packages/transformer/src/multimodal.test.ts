import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openFileSource, openSafetensors, type Tensor, tensor, writeSafetensors } from '@reallm/tensor-io'
import { openWeights, reviewFiles } from '@reallm/tensor-io/models'
import { fixture, goldenTests } from '@reallm/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

let scratch: string
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'multimodal-'))
})
afterAll(() => rm(scratch, { recursive: true }))

/** What transformers 4 and 5 call the tensors of a decoder inside a multimodal model. */
const layouts: Readonly<Record<string, (name: string) => string>> = {
  before: name => `language_model.${name}`,
  within: name => name.replace(/^model\./, 'model.language_model.'),
}

/** Writes a golden model as the text decoder of a multimodal one. */
async function wrap(name: string, layout: string): Promise<string> {
  const golden = fixture(`models/${name}`)
  const folder = await mkdtemp(join(scratch, name))
  const file = await openSafetensors(await openFileSource(join(golden, 'model.safetensors')))
  const tensors: Record<string, Tensor> = {
    'vision_tower.encoder.layers.0.self_attn.q_proj.weight': tensor('F32', [2, 2], new Float32Array(4)),
    'vision_tower.embeddings.weight': tensor('F32', [2], new Float32Array(2)),
    'model.multi_modal_projector.linear.weight': tensor('F32', [2], new Float32Array(2)),
  }
  for (const stored of file.tensors.keys()) tensors[layouts[layout](stored)] = await file.read(stored)
  await file.close()
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  const { tie_word_embeddings, eos_token_id, architectures, ...text_config } = JSON.parse(
    await readFile(join(golden, 'config.json'), 'utf8'),
  )
  const config = {
    ...{ model_type: 'somethingvl', architectures: ['SomethingForConditionalGeneration'] },
    ...{ tie_word_embeddings, eos_token_id, text_config, image_token_id: 7 },
    vision_config: { model_type: 'siglip_vision_model', hidden_size: 2, num_hidden_layers: 1 },
  }
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  return folder
}

describe.each(Object.keys(layouts))('names with the decoder %s', layout => {
  it.each(goldenTests.huggingface)('%s opens as its text decoder', async name => {
    const original = await openWeights(fixture(`models/${name}`))
    const model = await openWeights(await wrap(name, layout))
    const { source, ...config } = model.config
    expect(config).toEqual({ ...original.config, source: undefined })
    expect(source.architectures).toEqual(original.config.source.architectures)
    expect(model.names).toEqual(original.names)
    for (const tensor of model.names) expect(await model.read(tensor)).toEqual(await original.read(tensor))
    expect(model.warning).toMatch(
      / a somethingvl, opened as its text decoder; not used: .*3 tensors, 1 of multi_modal_projector, 2 of vision_tower$/,
    )
    expect((await reviewFiles(model.files)).warnings).toEqual([model.warning])
    await Promise.all([original.close(), model.close()])
  })
})
