import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeSafetensors, openModel, tensor } from '@reallm/tensor-io'
import { fixture } from '@reallm/testing'
import { workFolder } from '@reallm/testing/work-folder'
import { describe, expect, test } from 'vitest'
import { reallm } from '../test/cli.ts'

const golden = fixture('models/llama-gqa-tied')
const tokens = join(golden, 'tokens.json')
const lora = fixture('peft/lora')
const tiny = fileURLToPath(new URL('../../tiny/model', import.meta.url))

const folder = mkdtempSync(join(workFolder(), 'files-'))

/** The one JSON value on stdout of a command that succeeds. */
async function json(...args: string[]) {
  const { code, out, err } = await reallm([...args, '--json'])
  expect(err.replace(/^.*( left|%.*)?\n/gm, ''), err).toBe('')
  expect(code, err).toBe(0)
  return JSON.parse(out)
}

/** One message and a hint on stderr, nothing on stdout, nothing written. */
async function refused(args: string[], message: RegExp, hint: RegExp = /hint: /) {
  const before = await readdir(folder)
  const { code, out, err } = await reallm(args)
  expect(code).toBe(1)
  expect(out).toBe('')
  expect(err).toMatch(message)
  expect(err).toMatch(hint)
  expect(err).not.toMatch(/\n\s+at /)
  expect(await readdir(folder)).toEqual(before)
}

/** A copy of the golden model with one of its tensors replaced. */
async function altered(name: string, change: (values: Float32Array) => void): Promise<string> {
  const model = await openModel(golden)
  const dir = await mkdtemp(join(tmpdir(), 'reallm-bad-'))
  const tensors: Parameters<typeof encodeSafetensors>[0] = {}
  for (const key of model.tensors.keys()) {
    const { shape, data } = await model.readFloat32(key)
    if (key === name) change(data)
    Object.assign(tensors, { [key]: tensor('F32', shape, data) })
  }
  await writeFile(join(dir, 'model.safetensors'), encodeSafetensors(tensors))
  await writeFile(join(dir, 'config.json'), await readFile(join(golden, 'config.json')))
  await model.close()
  return dir
}

describe('help', () => {
  const commands =
    'inspect convert tokenize eval plan compress finetune generate chat serve pack worker status recipes doctor bench completion'.split(
      ' ',
    )

  test('lists every command', async () => {
    const { code, out } = await reallm(['--help'])
    expect(code).toBe(0)
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command}\\b`, 'm'))
  })

  test.each(commands)('%s --help teaches with examples', async command => {
    const { code, out, err } = await reallm([command, '--help'])
    expect(code).toBe(0)
    expect(err).toBe('')
    expect(out).toMatch(new RegExp(`Examples:\\n  \\$ .*reallm ${command}`))
  })

  test('a wrong option fails and points to the help', async () => {
    const { code, err, out } = await reallm(['compress', golden, '-o', join(folder, 'x'), '-b', 'three'])
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(/Give a number.*\(reallm compress --help/s)
    expect(await reallm(['compres'])).toMatchObject({
      code: 2,
      err: expect.stringMatching(/Did you mean compress/),
    })
  })

  test('help on a command is its --help; an unknown topic is named', async () => {
    expect(await reallm(['help', 'compress'])).toEqual(await reallm(['compress', '--help']))
    const { code, err } = await reallm(['help', 'compres'])
    expect(code).toBe(2)
    expect(err).toMatch(/unknown command 'compres'\n\(Did you mean compress/)
  })

  test('a missing argument is said before missing options', async () => {
    for (const command of ['compress', 'generate', 'finetune', 'pack', 'convert']) {
      const { code, err } = await reallm([command])
      expect(code).toBe(2)
      expect(err).toMatch(/^error: missing required argument '(model|artifact)'\n/)
    }
    expect((await reallm(['compress', golden])).err).toMatch(/^error: required option '-o, --output/)
  })

  test('completion names commands and options', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, out } = await reallm(['completion', shell])
      expect(code).toBe(0)
      for (const word of ['finetune', 'target-size', 'completion']) expect(out).toContain(word)
    }
    const { out } = await reallm(['completion', 'bash'])
    const completed = (...words: string[]) => {
      const script = `${out}COMP_WORDS=(reallm ${words.join(' ')}); COMP_CWORD=${words.length}; _reallm; echo "\${COMPREPLY[@]}"`
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim()
    }
    expect(completed('comp')).toBe('compare compress completion')
    expect(completed('help', 'comp')).toBe('compare compress completion')
    expect(completed('completion', 'z')).toBe('zsh')
    expect(completed('finetune', '--ra')).toBe('--rank')
  })

  test('--quiet leaves out progress', async () => {
    const out = join(folder, 'quiet')
    expect(await reallm(['convert', golden, '-o', out, '--quiet', '--json'])).toMatchObject({
      code: 0,
      err: '',
    })
    await rm(out, { recursive: true })
  })

  test.each(['-v', '--version', '-V'])('%s prints the version and nothing else', async flag => {
    expect(await reallm([flag])).toEqual({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
      err: '',
    })
  })
})

describe('models', () => {
  test('inspect lists tensors with or without config.json', async () => {
    const model = await json('inspect', golden)
    expect(model).toMatchObject({ kind: 'huggingface', parameters: 120_168 })
    expect(model.tensors[0]).toMatchObject({ name: expect.any(String), dtype: 'BF16', bits: 16 })
    const alone = join(folder, 'alone.safetensors')
    await writeFile(alone, encodeSafetensors({ w: tensor('F32', [2, 2], new Float32Array(4)) }))
    expect((await json('inspect', alone)).tensors).toHaveLength(1)
    expect((await reallm(['inspect', alone])).out).toMatch(/w +F32 +2×2/)
    await rm(alone)
  })

  test('tokenize gives ids, also of stdin', async () => {
    const { ids } = await json('tokenize', tiny, 'the whale')
    expect(ids.length).toBeGreaterThan(0)
    const { out } = await reallm(['tokenize', tiny, '-', '--json'], { stdin: 'the whale' })
    expect(JSON.parse(out)).toEqual({ ids })
  })

  test('eval --tokens needs no tokenizer; --against and --adapter', async () => {
    const { loss: expected } = JSON.parse(await readFile(join(golden, 'expected.json'), 'utf8'))
    const result = await json('eval', golden, '--tokens', tokens, '--against', golden)
    expect(result.loss).toBeCloseTo(expected, 3)
    expect(result.perplexity).toBeCloseTo(Math.exp(result.loss), 6)
    expect(result).toMatchObject({ tokens: 46, top1: 1, bytes: 242_416 })
    expect(result.kl).toBeCloseTo(0, 6)
    const tuned = JSON.parse(await readFile(join(lora, 'expected.json'), 'utf8'))
    expect((await json('eval', golden, '--tokens', tokens, '--adapter', lora)).loss).toBeCloseTo(
      tuned.loss,
      3,
    )
  })

  test('convert: safetensors and GGUF give the same model, an adapter is merged', async () => {
    const { loss } = await json('eval', golden, '--tokens', tokens)
    for (const [out, more] of [
      ['plain', ['--dtype', 'f32']],
      ['model.gguf', ['--dtype', 'f32']],
    ] as const) {
      const to = join(folder, 'converted', out)
      await json('convert', golden, '-o', to, ...more)
      expect((await json('eval', to, '--tokens', tokens)).loss).toBeCloseTo(loss, 4)
    }
    const tuned = JSON.parse(await readFile(join(lora, 'expected.json'), 'utf8'))
    await json('convert', golden, '-o', join(folder, 'merged'), '--adapter', lora, '--dtype', 'f32')
    expect((await json('eval', join(folder, 'merged'), '--tokens', tokens)).loss).toBeCloseTo(tuned.loss, 3)
    for (const out of ['converted', 'merged']) await rm(join(folder, out), { recursive: true })
  })

  test('generate continues a prompt, the same again with the same seed', async () => {
    const args = ['generate', tiny, '-p', 'The whale', '-n', '4', '--temperature', '1', '--seed', '3']
    const { text } = await json(...args)
    expect(text.length).toBeGreaterThan(0)
    expect((await reallm(args)).out).toBe(`${text}\n`)
  })

  test('recipes and doctor', async () => {
    const recipes = await json('recipes')
    expect(recipes[0]).toEqual({
      name: 'reallm',
      what: expect.any(String),
      source: expect.stringMatching(/2405/),
    })
    const { backend, findings } = await json('doctor')
    expect(backend).toEqual(expect.any(String))
    for (const { found, why, how } of findings) expect(found || (why && how)).toBeTruthy()
  })

  test('bench measures a backend, the kernels and a recipe', async () => {
    const { code, out, err } = await reallm(['bench', 'wasm', 'kernels', 'gptq', '--json'])
    expect(code, err).toBe(0)
    const speeds: { what: string; value: number; unit: string }[] = JSON.parse(out).speeds
    expect(speeds.map(({ what, unit }) => `${what.split(':')[0]} ${unit}`)).toEqual([
      ...['wasm GFLOPS', 'kernels GFLOPS'],
      ...['gptq M weights/s', 'gptq M weights/s'],
    ])
    for (const { value } of speeds) expect(value).toBeGreaterThan(0)
    await refused(['bench', 'magic'], /magic is no backend and no recipe/, /known: .*wasm.*gptq/)
  })
})

describe('compress', () => {
  const quick = ['--recipe', 'rtn', '--effort', 'fast', '--no-eval']

  test('writes an artifact within the size, with report, page and card, and leaves no work directory', async () => {
    const out = join(folder, 'gptq')
    const report = await json(
      'compress',
      golden,
      '-o',
      out,
      '-b',
      '3',
      '--recipe',
      'gptq',
      '--effort',
      'fast',
    )
    expect(report.size.bitsPerWeight).toBeLessThanOrEqual(3)
    expect(report.size.bitsPerWeight).toBeGreaterThan(2.9)
    expect(report.matrices).toHaveLength(15)
    for (const m of report.matrices)
      expect(m).toMatchObject({ error: expect.any(Number), codec: expect.any(String) })
    const files = await readdir(out)
    for (const name of [
      'config.json',
      'model.safetensors',
      'README.md',
      'reallm-report.json',
      'reallm-report.html',
    ]) {
      expect(files).toContain(name)
    }
    const page = await readFile(join(out, 'reallm-report.html'), 'utf8')
    expect(page).toMatch(/<svg.*Bits per weight/)
    expect(page).not.toMatch(/…<\/text>/)
    // without a tokenizer the tokens are random, and perplexity says nothing
    for (const text of [page, await readFile(join(out, 'README.md'), 'utf8')]) {
      expect(text).toContain('uniformly random tokens')
      expect(text).not.toMatch(/perplexity/i)
    }
    const measured = await json('eval', out, '--tokens', tokens, '--against', golden)
    expect(measured.bytes).toBe(report.size.bytes)
    expect(measured.kl).toBeLessThan(3)
    expect((await json('inspect', out)).kind).toBe('artifact')
    expect(await readdir(folder)).toEqual(['gptq'])
    await refused(['compress', golden, '-o', out, '-b', '3', ...quick], /gptq is not empty/, /--force/)
    const again = await json('compress', golden, '-o', out, '--target-size', '40kB', '--force', ...quick)
    expect(again.size.bytes).toBeLessThanOrEqual(40_000)
    await rm(out, { recursive: true })
  })

  test('--dry-run prints the plan and writes nothing', async () => {
    const plan = await json('compress', golden, '-o', join(folder, 'dry'), '-b', '2.5', '--dry-run', ...quick)
    expect(plan.bitsPerWeight).toBeLessThanOrEqual(2.5)
    expect(plan.matrices).toHaveLength(15)
    expect(plan.time.seconds).toBeGreaterThan(0)
    expect(plan.time.cpuSeconds).toBeGreaterThanOrEqual(plan.time.seconds)
    expect(await readdir(folder)).toEqual([])
  })

  test('plan prints a falling frontier', async () => {
    const { frontier } = await json('plan', golden, '--effort', 'fast')
    expect(frontier.length).toBeGreaterThan(10)
    for (let i = 1; i < frontier.length; i++)
      expect(frontier[i].predicted).toBeLessThan(frontier[i - 1].predicted)
    expect((await reallm(['plan', golden, '--effort', 'fast'])).out).toMatch(/│ *•/)
  })

  test('Ctrl-C stops cleanly and says how to go on', async () => {
    const stop = new AbortController()
    stop.abort()
    const args = ['compress', golden, '-o', join(folder, 'stopped'), '-b', '3', ...quick]
    const { code, err, out } = await reallm(args, { signal: stop.signal })
    expect(code).toBe(130)
    expect(out).toBe('')
    expect(err).toMatch(/stopped.*\n {2}hint: .*--resume/)
  })
})

describe('refusals: one sentence, a hint, nothing half-written', () => {
  const to = () => ['-o', join(folder, 'never'), '-b', '3']

  test('no such model, recipe, size', async () => {
    await refused(['compress', join(folder, 'none'), ...to()], /none: no such file/)
    await refused(
      ['convert', golden, '-o', join(folder, 'never.gguf'), '--format', 'safetensors'],
      /the format is safetensors, the ending says gguf/,
      /leave out --format/,
    )
    await refused(['compress', golden, ...to(), '--recipe', 'magic'], /unknown recipe magic/, /known: reallm/)
    await refused(
      ['compress', golden, '-o', join(folder, 'never'), '-b', '0.3'],
      /0\.3 bits .* cannot be reached/,
    )
    await refused(
      ['compress', golden, '-o', join(folder, 'never')],
      /either bits per weight or a target size/,
    )
  })

  test('weights that are no numbers, by name and place', async () => {
    const name = 'model.layers.1.mlp.up_proj.weight'
    const bad = await altered(name, values => void (values[73] = Number.NaN))
    await refused(['compress', bad, ...to()], new RegExp(`${name} \\[160×72\\] holds NaN at row 1, column 1`))
    await rm(bad, { recursive: true })
  })

  test('truncated weights, a family that is not there, a missing tensor', async () => {
    const bad = await altered('', () => {})
    const config = JSON.parse(await readFile(join(bad, 'config.json'), 'utf8'))
    await writeFile(join(bad, 'config.json'), JSON.stringify({ ...config, model_type: 'mamba' }))
    await refused(['compress', bad, ...to()], /"mamba" is not supported/, /llama/)
    await writeFile(join(bad, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 3 }))
    await refused(['compress', bad, ...to()], /missing model\.layers\.2/)
    await truncate(join(bad, 'model.safetensors'), 100_000)
    await refused(['compress', bad, ...to()], /model\.safetensors/)
    await rm(bad, { recursive: true })
  })

  test('text without a tokenizer, tokens that are none', async () => {
    const text = join(golden, 'config.json')
    await refused(['eval', golden, '--text', text], /no tokenizer\.json/)
    await refused(['eval', golden, '--tokens', text], /does not hold rows of token ids/)
    await refused(['eval', golden, '--text', join(folder, 'none')], /none/, /(hint: )?/)
    await refused(['generate', golden, '-p', 'x'], /no tokenizer\.json/)
  })
})
