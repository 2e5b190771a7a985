import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fixture } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const folder = workFolder()
const narrow = fixture('models/llama-gqa-tied')
const tiny = fileURLToPath(new URL('../../tiny/model', import.meta.url))
const recipe = (name: string) => ['--recipe', name]
const foreign = ['--adapter', fixture('peft/lora')]

const otherShape = /the adapter changes \S+ \[72×160\], the model has \[192×544\]\n {2}hint: .*llama-gqa/

test.each([
  ['gguf', narrow, [], /^reallm: model\.embed_tokens \[320×72\]: .*32 does not divide 72\n {2}hint: .*32/],
  [
    'onnx',
    narrow,
    [],
    /^reallm: model\.embed_tokens \[320×72\]: .* 32 does not divide 72\n {2}hint: .*reallm/,
  ],
  ['gguf', tiny, recipe('trellis'), /the recipe trellis stores what the target gguf cannot hold\n {2}hint: /],
  ['onnx', tiny, recipe('trellis'), /the recipe trellis stores what the target onnx cannot hold\n {2}hint: /],
  ['onnx', tiny, recipe('gguf'), /the recipe gguf stores what the target onnx cannot hold\n {2}hint: .*gguf/],
  ['gguf', tiny, recipe('onnx'), /the recipe onnx stores what the target gguf cannot hold\n {2}hint: .*onnx/],
  ['gguf', tiny, foreign, otherShape],
  ['onnx', tiny, foreign, otherShape],
])('--target %s of %s refuses %j in a sentence, and writes nothing', async (target, model, more, message) => {
  const to = join(folder, target === 'gguf' ? 'out.gguf' : 'out')
  const options = ['-o', to, '--target', target, '-b', '5', ...more]
  const { code, out, err } = await reallm(['compress', model, ...options])
  expect(code).toBe(1)
  expect(out).toBe('')
  const said = err.slice(err.lastIndexOf('reallm: '))
  expect(said).toMatch(message)
  expect(said.trim().split('\n')).toHaveLength(2)
  expect((await readdir(folder)).filter(name => name.startsWith('out'))).toEqual([])
})
