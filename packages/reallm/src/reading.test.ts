import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeSafetensors, fromFloat32, openModel, type Tensor, tensor } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'
import { writeAdapter } from '@reallm/transformer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const golden = fixture('models/llama-gqa-tied')
const tiny = fileURLToPath(new URL('../../tiny/model', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reallm-reading-'))
})
afterAll(() => rm(folder, { recursive: true }))

const written = async (name: string, contents: string | Uint8Array) => {
  await writeFile(join(folder, name), contents)
  return join(folder, name)
}

describe('texts that are not UTF-8 are refused by name, with the way out', () => {
  const text = 'Der Wal schwimmt über das Meer. '.repeat(40)
  const encodings = [
    ['utf16.txt', Buffer.from(`\ufeff${text}`, 'utf16le'), 'utf16.txt is UTF-16: save it as UTF-8'],
    ['latin1.txt', Buffer.from(text, 'latin1'), 'latin1.txt, line 1 is not UTF-8'],
  ] as const

  test.each(encodings)('%s', async (name, bytes, message) => {
    const file = await written(name, bytes)
    for (const args of [
      ['eval', tiny, '--text', file, '--ctx', '64', '--windows', '1'],
      ['plan', tiny, '--effort', 'fast', '--calib', file],
      ['compress', tiny, '-o', join(folder, 'out'), '-b', '4', '--calib', file],
      ['finetune', tiny, '-o', join(folder, 'out'), '--data', file],
    ]) {
      const { code, out, err } = await reallm(args)
      expect({ code, out }).toEqual({ code: 1, out: '' })
      expect(err).toContain(`${message}\n  hint: `)
    }
  })
})

describe('--adapter DIR reads the adapter of a directory that holds a model too', () => {
  test('eval', async () => {
    const dir = join(folder, 'tuned')
    await cp(golden, dir, { recursive: true })
    await cp(fixture('peft/lora'), dir, { recursive: true })
    const { loss } = JSON.parse(await readFile(fixture('peft/lora/expected.json'), 'utf8'))
    const tokens = join(golden, 'tokens.json')
    const { code, out } = await reallm(['eval', golden, '--adapter', dir, '--tokens', tokens, '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(out).loss).toBeCloseTo(loss, 3)
  })

  test('generate', async () => {
    const dir = join(folder, 'with-model')
    await cp(tiny, dir, { recursive: true })
    const { hidden_size: width, intermediate_size: inner } = JSON.parse(
      await readFile(join(tiny, 'config.json'), 'utf8'),
    )
    const filled = (rows: number, cols: number) =>
      tensor(
        'F32',
        [rows, cols],
        new Float32Array(rows * cols).map((_, i) => Math.sin(i)),
      )
    const change = { a: filled(2, inner), b: filled(width, 2), scaling: 4 }
    await writeAdapter(dir, { modules: new Map([['model.layers.0.mlp.down_proj', change]]) })
    const generate = ['generate', tiny, '-p', 'The whale', '-n', '8']
    const plain = await reallm(generate)
    const adapted = await reallm([...generate, '--adapter', dir])
    expect([plain.code, adapted.code, adapted.err]).toEqual([0, 0, ''])
    expect(adapted.out).not.toBe(plain.out)
  })
})

describe('what a checkpoint declares and nothing uses', () => {
  const declared = async (name: string, more: object, shards: Record<string, string> = {}) => {
    const dir = join(folder, name)
    await cp(golden, dir, { recursive: true })
    const config = JSON.parse(await readFile(join(golden, 'config.json'), 'utf8'))
    await writeFile(join(dir, 'config.json'), JSON.stringify({ ...config, ...more }))
    for (const [file, text] of Object.entries(shards)) await writeFile(join(dir, file), text)
    return dir
  }
  const tokens = join(golden, 'tokens.json')

  test('is one warning line, in inspect too', async () => {
    const index = { 'model.safetensors.index.json': '{"weight_map": {"a": "model-1.safetensors"}}' }
    const dir = await declared('warned', { logits_scaling: 8 }, index)
    const line = `${dir}: model.safetensors is read; model.safetensors.index.json beside it is not; not used: logits_scaling of config.json`
    const { code, out, err } = await reallm(['eval', dir, '--tokens', tokens, '--json'])
    expect([code, err.match(/^warning: .*$/gm)]).toEqual([0, [`warning: ${line}`]])
    const { loss } = JSON.parse(await readFile(join(golden, 'expected.json'), 'utf8'))
    expect(JSON.parse(out).loss).toBeCloseTo(loss, 3)
    expect((await reallm(['inspect', dir])).out).toContain(`\nwarning: ${line}\n`)
    expect(JSON.parse((await reallm(['inspect', dir, '--json'])).out)).toMatchObject({
      warnings: [line],
      refused: [],
    })
  })

  test('of weights that another tool quantised: inspect says what they were', async () => {
    const dir = join(folder, 'fp8')
    await cp(golden, dir, { recursive: true })
    const config = JSON.parse(await readFile(join(golden, 'config.json'), 'utf8'))
    const model = await openModel(golden)
    const tensors: Record<string, Tensor> = {}
    for (const name of model.tensors.keys()) {
      const { shape, data } = await model.readFloat32(name)
      const isMatrix = name.endsWith('_proj.weight')
      tensors[name] = isMatrix
        ? tensor(
            'F8_E4M3',
            shape,
            fromFloat32(
              'F8_E4M3',
              data.map(w => w * 256),
            ),
          )
        : tensor('F32', shape, data)
      if (isMatrix) tensors[`${name}_scale_inv`] = tensor('F32', [1], Float32Array.of(1 / 256))
    }
    await model.close()
    await writeFile(join(dir, 'model.safetensors'), encodeSafetensors(tensors))
    const quantization_config = { quant_method: 'fp8', weight_block_size: null }
    await writeFile(join(dir, 'config.json'), JSON.stringify({ ...config, quantization_config }))
    const said = 'FP8, a scale for each matrix or row'
    expect((await reallm(['inspect', dir])).out).toContain(`\nquantised by ${said}; read decoded\n`)
    expect(JSON.parse((await reallm(['inspect', dir, '--json'])).out)).toMatchObject({ quantised: said })

    const plain = join(folder, 'fp8-plain')
    expect(await reallm(['convert', dir, '-o', plain, '--dtype', 'f32'])).toMatchObject({ code: 0 })
    expect(JSON.parse(await readFile(join(plain, 'config.json'), 'utf8')).quantization_config).toBeUndefined()
    const loss = async (model: string) =>
      JSON.parse((await reallm(['eval', model, '--tokens', tokens, '--json'])).out).loss
    const expected = JSON.parse(await readFile(join(golden, 'expected.json'), 'utf8')).loss
    expect(await loss(dir)).toBe(await loss(plain))
    expect(await loss(dir)).toBeCloseTo(expected, 1)
  })

  test('or refused by name, in inspect too', async () => {
    const dir = await declared('quantised', { quantization_config: { quant_method: 'fp8' } })
    const message = `${dir}: it is already quantised by fp8, says quantization_config`
    for (const args of [
      ['eval', dir, '--tokens', tokens],
      ['convert', dir, '-o', join(folder, 'out')],
      ['compress', dir, '-o', join(folder, 'out'), '-b', '4'],
    ]) {
      expect(await reallm(args)).toMatchObject({
        code: 1,
        out: '',
        err: expect.stringContaining(`reallm: ${message}\n  hint: open the original`),
      })
    }
    expect((await reallm(['inspect', dir])).out).toContain(`\ncannot be run: ${message}\n  hint: `)
    expect(JSON.parse((await reallm(['inspect', dir, '--json'])).out)).toMatchObject({
      refused: [{ message }],
    })
  })
})

test('generate says that the context is full', async () => {
  const dir = join(folder, 'short')
  await cp(tiny, dir, { recursive: true })
  const config = JSON.parse(await readFile(join(tiny, 'config.json'), 'utf8'))
  await writeFile(join(dir, 'config.json'), JSON.stringify({ ...config, max_position_embeddings: 12 }))
  const { code, out, err } = await reallm(['generate', dir, '-p', 'The whale', '-n', '50', '--json'])
  expect([code, JSON.parse(out).reason]).toEqual([0, 'context'])
  expect(err).toMatch(/^stopped after \d+ tokens: prompt and text fill the model's context of 12\n$/)
  const within = await reallm(['generate', dir, '-p', 'The whale', '-n', '2', '--json'])
  expect([JSON.parse(within.out).reason, within.err]).toEqual(['length', ''])
})

describe('the chat template', () => {
  test('is chosen by its name and told variables', async () => {
    const dir = join(folder, 'templates')
    await cp(tiny, dir, { recursive: true })
    await mkdir(join(dir, 'additional_chat_templates'))
    const complain = (what: string) => `{{ raise_exception(${what}) }}`
    await writeFile(join(dir, 'chat_template.jinja'), complain('"thinks: " ~ enable_thinking ~ effort'))
    await writeFile(join(dir, 'additional_chat_templates', 'rag.jinja'), complain('"rag"'))
    const said = async (...args: string[]) => {
      const { code, err } = await reallm(['generate', dir, '-p', 'Hi', '--chat', ...args])
      return [code, /cannot be used: (.*)/.exec(err)?.[1]]
    }
    const variables = ['--template-arg', 'enable_thinking=false', '--template-arg', 'effort=low']
    expect(await said(...variables)).toEqual([1, 'thinks: falselow'])
    expect(await said('--template', 'rag')).toEqual([1, 'rag'])
    const chat = await reallm(['chat', dir, ...variables], { stdin: 'Hi\n' })
    expect(chat.err).toContain('thinks: falselow')
    expect(await reallm(['generate', dir, '-p', 'Hi', '--template', 'rag'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('add --chat'),
    })
    expect(await reallm(['generate', dir, '-p', 'Hi', '--chat', '--template-arg', 'x'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('Give name=value'),
    })

    const written = join(folder, 'templates-written')
    expect(await reallm(['convert', dir, '-o', written])).toMatchObject({ code: 0 })
    const { chat_template } = JSON.parse(await readFile(join(written, 'tokenizer_config.json'), 'utf8'))
    expect(chat_template.map(({ name }: { name: string }) => name)).toEqual(['default', 'rag'])
    const gguf = join(folder, 'templates.gguf')
    expect(await reallm(['convert', dir, '-o', gguf])).toMatchObject({ code: 0 })
    expect((await reallm(['generate', gguf, '-p', 'Hi', '--chat', '--template', 'rag'])).err).toContain(
      'cannot be used: rag',
    )
  })
})

describe('what is wrong is named', () => {
  const tokens = join(golden, 'tokens.json')

  test('a directory that is given as a text', async () => {
    for (const args of [
      ['eval', tiny, '--text', folder],
      ['eval', tiny, '--tokens', folder],
      ['compare', tiny, tiny, '--text', folder],
      ['plan', tiny, '--effort', 'fast', '--calib', folder],
      ['finetune', tiny, '-o', join(folder, 'nothing'), '--data', folder],
    ]) {
      expect(await reallm(args)).toMatchObject({ code: 1, err: expect.stringContaining(folder) })
    }
  })

  test('weights that are no numbers', async () => {
    const dir = join(folder, 'nan')
    await cp(golden, dir, { recursive: true })
    const model = await openModel(golden)
    const tensors: Record<string, Tensor> = {}
    for (const name of model.tensors.keys()) tensors[name] = await model.readFloat32(name)
    await model.close()
    const name = 'model.layers.1.mlp.up_proj.weight'
    ;(tensors[name].data as Float32Array)[3] = Number.NaN
    await writeFile(join(dir, 'model.safetensors'), encodeSafetensors(tensors))
    const message = `${name} [${tensors[name].shape.join('×')}] holds NaN at row 0, column 3`
    expect(await reallm(['eval', dir, '--tokens', tokens])).toMatchObject({
      code: 1,
      err: expect.stringContaining(message),
    })
    expect((await reallm(['inspect', dir])).out).not.toContain(message)
    for (const more of [['--quiet'], ['--quiet', '--json']]) {
      const checked = await reallm(['inspect', dir, '--check', ...more])
      expect(checked).toMatchObject({ code: 1, err: `reallm: ${dir}: cannot be run\n` })
      expect(checked.out).toContain(message)
    }
    expect((await reallm(['inspect', dir, '--check'])).out).toContain(`cannot be run: ${message}`)
    const fine = await reallm(['inspect', golden, '--check'])
    expect(fine).toMatchObject({ code: 0, out: expect.not.stringContaining('cannot be run') })
  })

  test('windows beyond the positions that a model was made for', async () => {
    const dir = join(folder, 'short')
    await cp(golden, dir, { recursive: true })
    const config = JSON.parse(await readFile(join(golden, 'config.json'), 'utf8'))
    await writeFile(join(dir, 'config.json'), JSON.stringify({ ...config, max_position_embeddings: 16 }))
    const { code, err } = await reallm(['eval', dir, '--tokens', tokens])
    expect(code).toBe(0)
    expect(err).toContain('warning: windows of 24 tokens are longer than the 16 positions')
    expect((await reallm(['eval', golden, '--tokens', tokens])).err).not.toContain('positions')
  })

  test('windows are no longer than the positions, unless they are given', async () => {
    const text = await written(
      'short.txt',
      (await readFile(join(tiny, 'held-out.txt'), 'utf8')).slice(0, 2500),
    )
    const args = ['eval', tiny, '--text', text, '--windows', '1', '--no-cache', '--quiet', '--json']
    const { out, err } = await reallm(args)
    expect([JSON.parse(out).tokensRead, err]).toEqual([256, ''])
    const longer = await reallm([...args, '--ctx', '300'])
    expect(longer.err).toContain('warning: windows of 300 tokens are longer than the 256 positions')
  })

  test('memory that is too little', async () => {
    const args = ['compress', tiny, '-o', join(folder, 'nothing'), '-b', '4', '--max-memory', '1KB']
    expect(await reallm(args)).toMatchObject({
      code: 1,
      err: 'reallm: 1.00 kB of memory are too few\n  hint: give at least 64.0 MB; a shard takes a quarter\n',
    })
  })

  test('one of something', async () => {
    const row = await written('row.json', JSON.stringify([[1, 2, 3]]))
    expect((await reallm(['eval', golden, '--tokens', row])).out).toContain('over 2 tokens in 1 window (')
  })
})

describe('what would be noticed late, or not at all', () => {
  test('an output whose ending is that of another target', async () => {
    for (const ending of ['gguf', 'onnx']) {
      const to = join(folder, `out.${ending}`)
      expect(await reallm(['compress', tiny, '-o', to, '-b', '3'])).toEqual({
        code: 1,
        out: '',
        err: expect.stringMatching(
          `the target is reallm, the ending says ${ending}\\n  hint: add --target ${ending}`,
        ),
      })
      expect(existsSync(to) || existsSync(`${to}.work`)).toBe(false)
    }
  })

  test('an empty prompt, and sampling at temperature 0', async () => {
    const empty = await reallm(['generate', tiny, '-p', ''])
    expect(empty).toMatchObject({ code: 1, err: expect.stringMatching(/^reallm: the prompt is empty/) })
    const greedy = await reallm(['generate', tiny, '-p', 'The', '-n', '1', '--top-p', '0.9', '--top-k', '40'])
    expect(greedy).toMatchObject({
      code: 0,
      err: 'warning: --top-k and --top-p have no effect at --temperature 0\n',
    })
  })

  test('numbers out of range, and an option that others call otherwise', async () => {
    for (const [args, message] of [
      [['--top-p', '0'], 'Give a number over 0, up to 1.'],
      [['--top-p', '2'], 'Give a number over 0, up to 1.'],
      [['--seed', '99999999999999999999'], 'Give a whole number from 0 to 9007199254740991.'],
      [['--seed', '1.5'], 'Give a whole number of at least 0.'],
      [['--max-tokens', '4'], '(Did you mean --tokens?)'],
    ] as const) {
      const { code, err } = await reallm(['generate', tiny, '-p', 'a', ...args])
      expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(message) })
    }
    const served = await reallm(['serve', tiny, '--port', '99999'])
    expect(served).toMatchObject({ code: 2, err: expect.stringContaining('from 0 to 65535') })
  })

  test('a path that is not there is no model of the hub', async () => {
    expect((await reallm(['generate', './nothing', '-p', 'a'])).err).not.toContain('hf:./')
    expect((await reallm(['generate', 'no/thing', '-p', 'a'])).err).toContain('hf:no/thing')
  })

  test('names that are empty, as of variables that are not set', async () => {
    const out = join(folder, 'out')
    for (const args of [
      ['eval', tiny, '--text', ''],
      ['inspect', ''],
      ['generate', tiny, '-p', 'a', '--adapter', ''],
      ['inspect', tiny, '--public-key', ''],
      ['compare', tiny, '', '--text', 'a'],
      ['convert', tiny, '-o', ''],
      ['finetune', tiny, '-o', out, '--data', 'a', '--kd', ''],
    ]) {
      const { code, err } = await reallm(args)
      expect({ code, err }).toEqual({
        code: 2,
        err: expect.stringMatching(/^error: .* is empty; is a variable/),
      })
    }
  })

  test('layers without a model to compare with', async () => {
    const { code, err } = await reallm(['eval', tiny, '--text', join(tiny, 'held-out.txt'), '--layers'])
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/^reallm: --layers compares/) })
  })

  test('rows of tokens, more than a call takes arguments', async () => {
    const rows = Array.from({ length: 200_000 }, () => [1, 2])
    const file = await written('rows.json', JSON.stringify(rows))
    const { code, out } = await reallm([
      'eval',
      tiny,
      '--tokens',
      file,
      '--windows',
      '1',
      '--no-cache',
      '--json',
    ])
    expect({ code, ...JSON.parse(out) }).toMatchObject({ code: 0, windows: 1 })
  })
})
