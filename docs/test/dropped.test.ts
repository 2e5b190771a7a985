import { expect, test } from 'vitest'
import { chosenFiles, modelFilesAmong, nameOf } from '../.vitepress/theme/shared/dropped.ts'

const files = (...names: string[]) => names.map(name => new File(['…'], name))
const folder = files(
  '.gitattributes',
  'LICENSE',
  'README.md',
  'config.json',
  'model.safetensors',
  'tokenizer.json',
)

test('of a folder from the hub, the files of the model are taken', async () => {
  const taken = await modelFilesAmong(folder)
  expect(taken.map(({ name }) => name)).toEqual(['config.json', 'model.safetensors', 'tokenizer.json'])
  await expect(modelFilesAmong(files('README.md', 'config.json'))).rejects.toThrow(
    '2 files: there is neither a .safetensors nor a .gguf file',
  )
})

test('a model is called as its folder, its archive or its weights', () => {
  expect(nameOf({ files: folder, folder: 'SmolLM2-1.7B' })).toBe('SmolLM2-1.7B')
  expect(nameOf({ files: folder })).toBe('model.safetensors')
  expect(nameOf({ files: files('mine.zip') })).toBe('mine.zip')
  expect(nameOf({ files: files('notes.pdf') })).toBe('notes.pdf')
})

test('of a chosen folder its top counts, by its name', () => {
  const within = (path: string) =>
    Object.defineProperty(new File(['…'], path.split('/').at(-1)!), 'webkitRelativePath', { value: path })
  const chosen = chosenFiles(
    ['model/config.json', 'model/model.safetensors', 'model/onnx/x.json'].map(within),
  )
  expect(chosen.files.map(({ name }) => name)).toEqual(['config.json', 'model.safetensors'])
  expect(nameOf(chosen)).toBe('model')
  expect(chosenFiles([within('')]).folder).toBeUndefined()
})
