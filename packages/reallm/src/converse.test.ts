import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const tiny = join(import.meta.dirname, '..', '..', 'tiny', 'model')

test('a model asks and answers in its own template, the same for one seed', {
  timeout: 120_000,
}, async () => {
  const first = await reallm(['converse', tiny, '-c', '2', '-n', '8', '--seed', '3'])
  expect(first.code, first.err).toBe(0)
  const conversation =
    /<\|im_start\|>user\n[\s\S]+?<\|im_end\|>\n<\|im_start\|>assistant\n[\s\S]*?<\|im_end\|>\n/g
  expect(first.out.match(conversation)).toHaveLength(2)
  expect((await reallm(['converse', tiny, '-c', '2', '-n', '8', '--seed', '3'])).out).toBe(first.out)
  const told = await reallm(['converse', tiny, '-c', '1', '-n', '8', '--system', 'Talk about whales.'])
  expect(told.out).toMatch(/^<\|im_start\|>system\nTalk about whales\.<\|im_end\|>\n/)
})

test.each([
  ['no chat template', undefined, /chat template/],
  ['a template that drops questions', 'Answer:', /does not write what a user asks/],
])('%s is refused by name', async (_, template, words) => {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-'))
  await cp(tiny, folder, { recursive: true })
  const path = join(folder, 'tokenizer_config.json')
  const config = JSON.parse(await readFile(path, 'utf8'))
  await writeFile(path, JSON.stringify({ ...config, chat_template: template }))
  const { code, out, err } = await reallm(['converse', folder, '-c', '1'])
  expect(code).toBe(1)
  expect(out).toBe('')
  expect(err).toMatch(words)
})
