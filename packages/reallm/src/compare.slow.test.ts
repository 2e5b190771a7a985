import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fixture } from '@reallm/testing'
import { expect, test } from 'vitest'
import { run } from './run.ts'

const root = join(import.meta.dirname, '..', '..', '..')
const compressed = (bits: number) => join(root, 'docs', 'public', 'models', `tiny-${bits}`)

async function reallm(...args: string[]) {
  let [out, err] = ['', '']
  const code = await run(args, {
    out: text => void (out += text),
    err: text => void (err += text),
    stdin: async () => '',
    async *lines() {},
    isTty: false,
    signal: new AbortController().signal,
    verbose: false,
  })
  return { code, out, err }
}

const text = [
  '--text',
  join(root, 'packages', 'tiny', 'model', 'held-out.txt'),
  '--windows',
  '2',
  '--ctx',
  '128',
]

test('compare: fewer bits are further from the original; a page, JSON and Markdown say the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-compare-'))
  try {
    const html = join(folder, 'compared.html')
    const tasks = ['--tasks', 'piqa', '--task-data', fixture('tasks'), '--limit', '3']
    const models = ['npm:@reallm/tiny', compressed(4), compressed(2)]
    const { code, out, err } = await reallm('compare', ...models, ...text, ...tasks, '--html', html, '--json')
    expect(err).not.toMatch(/hint/)
    expect(code).toBe(0)
    const [original, four, two] = JSON.parse(out).models
    expect(original.ratio).toBeUndefined()
    expect(four.kl).toBeGreaterThan(0)
    expect(two.kl).toBeGreaterThan(3 * four.kl)
    expect(two.top1).toBeLessThan(four.top1)
    expect(four.ratio).toBeCloseTo(four.perplexity / original.perplexity, 12)
    expect(two.tasks[0]).toMatchObject({ task: 'piqa', documents: 3 })
    expect(await readFile(html, 'utf8')).toContain(two.kl.toFixed(5))

    const markdown = await reallm('compare', models[0], models[2], ...text, '--markdown')
    const alone = await reallm('eval', models[2], ...text, '--against', models[0], '--json')
    expect(markdown.out).toContain(`| ${JSON.parse(alone.out).kl.toFixed(5)} |`)
    expect(two.kl).toBeCloseTo(JSON.parse(alone.out).kl, 6)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test.each([
  [['npm:@reallm/tiny', compressed(2)], /nothing to compare by/],
  [['npm:@reallm/tiny', compressed(2), '--tasks', 'nothing'], /no task nothing/],
  [['npm:@reallm/tiny', compressed(2), '--tasks', 'piqa', '--task-data', root], /has no data of piqa/],
  [['npm:@reallm/tiny', fixture('models/llama-gqa-tied'), ...text], /different tokens|no tokenizer/],
])('compare refuses %j', async (args, message) => {
  const { code, err } = await reallm('compare', ...args)
  expect(code).toBe(1)
  expect(err).toMatch(message)
})
