import { mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DestinationOptions, openDestination } from './destination.ts'

let folder: string
beforeEach(async () => void (folder = await realpath(await mkdtemp(join(tmpdir(), 'destination-')))))
afterEach(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]) => join(folder, ...names)
const text = (...names: string[]) => readFile(at(...names), 'utf8')
const visible = async (...names: string[]) =>
  (await readdir(at(...names))).filter(name => !name.startsWith('.')).sort()

/** Publishes these files to `to` as a command does. */
async function write(
  to: string,
  files: Readonly<Record<string, string>>,
  options: Partial<DestinationOptions> = {},
  run?: string,
) {
  const output = await openDestination(to, { inputs: {}, ...options })
  const staged = join(output.work, 'artifact')
  await mkdir(staged, { recursive: true })
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(dirname(join(staged, name)), { recursive: true })
    await writeFile(join(staged, name), contents)
  }
  await output.publish(staged, run)
  await rm(output.work, { recursive: true })
  return output
}

test('a new directory appears with all of its files, its parents too', async () => {
  await write(at('a', 'b', 'out'), { 'config.json': '{}', 'model.safetensors': 'weights' })
  expect(await visible('a', 'b', 'out')).toEqual(['config.json', 'model.safetensors'])
  expect(await visible('a', 'b')).toEqual(['out'])
})

test('--force replaces what an earlier run wrote, old shards and indices included', async () => {
  const old = { 'model-00001-of-00002.safetensors': 'a', 'model-00002-of-00002.safetensors': 'b' }
  await write(at('out'), { ...old, 'model.safetensors.index.json': '{}', 'config.json': 'old' })
  await expect(write(at('out'), {})).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringMatching(/is not empty/),
    hint: expect.stringMatching(/--force/),
  })
  await write(at('out'), { 'model.safetensors': 'c', 'config.json': 'new' }, { force: true })
  expect(await visible('out')).toEqual(['config.json', 'model.safetensors'])
  expect(await text('out', 'config.json')).toBe('new')
})

test('files in a folder of the output come too, also into a directory that is there, and are replaced by --force', async () => {
  await mkdir(at('out'))
  await write(at('out'), { 'config.json': 'old', 'onnx/model.onnx': 'a', 'onnx/model.onnx_data': 'b' })
  expect(await visible('out', 'onnx')).toEqual(['model.onnx', 'model.onnx_data'])
  await expect(write(at('out'), {})).rejects.toThrow(/is not empty/)
  await write(at('out'), { 'config.json': 'new', 'onnx/model.onnx': 'c' }, { force: true })
  expect(await visible('out', 'onnx')).toEqual(['model.onnx'])
  expect(await text('out', 'onnx', 'model.onnx')).toBe('c')
  await write(at('out'), { 'config.json': 'newest' }, { force: true })
  expect(await visible('out')).toEqual(['config.json'])
  await write(at('out'), { 'onnx/model.onnx': 'c' }, { force: true })
  await writeFile(at('out', 'onnx', 'mine'), 'kept')
  await expect(write(at('out'), {}, { force: true })).rejects.toThrow(/did not write: onnx\/mine/)
  expect(await text('out', 'onnx', 'model.onnx')).toBe('c')
})

test('--force refuses files that reallm did not write, or that changed since, by name, and keeps everything', async () => {
  await mkdir(at('home', 'photos'), { recursive: true })
  await writeFile(at('home', 'thesis.txt'), 'years of work')
  await expect(write(at('home'), { a: '1' }, { force: true })).rejects.toThrow(
    /did not write: photos, thesis\.txt$/,
  )
  expect(await visible('home')).toEqual(['photos', 'thesis.txt'])

  await write(at('out'), { 'README.md': 'card', 'model.safetensors': 'a' })
  await writeFile(at('out', 'README.md'), 'what I found out about this model')
  await expect(write(at('out'), { 'README.md': 'new' }, { force: true })).rejects.toThrow(
    /did not write: README\.md \(changed since\)/,
  )
  expect(await text('out', 'README.md')).toMatch(/what I found/)
})

test('files that come while a run works are not replaced; its result is kept', async () => {
  const output = await openDestination(at('out'), { inputs: {}, force: true })
  await mkdir(join(output.work, 'artifact'), { recursive: true })
  await writeFile(join(output.work, 'artifact', 'config.json'), 'ours')
  await mkdir(at('out'))
  await writeFile(at('out', 'config.json'), 'theirs')
  await expect(output.publish(join(output.work, 'artifact'))).rejects.toThrow(/did not write: config\.json/)
  expect(await text('out', 'config.json')).toBe('theirs')
  expect(await text('out.work', 'artifact', 'config.json')).toBe('ours')
})

test('hidden files of others (a repository) are no obstacle, and stay', async () => {
  await mkdir(at('out', '.git'), { recursive: true })
  await writeFile(at('out', '.git', 'HEAD'), 'main')
  await write(at('out'), { 'config.json': '{}' })
  await write(at('out'), { 'config.json': '{ }' }, { force: true })
  expect(await text('out', '.git', 'HEAD')).toBe('main')
})

test.each(['model', 'data'])('an output that is or holds the %s that is read is refused', async what => {
  await mkdir(at('home', 'input'), { recursive: true })
  await writeFile(at('home', 'input', 'x'), '')
  await symlink(at('home', 'input'), at('link'))
  const inputs = { [what]: at('home', 'input') }
  const open = (to: string, given: Record<string, string> = inputs) =>
    openDestination(to, { inputs: given, force: true })
  await expect(open(at('home'))).rejects.toThrow(new RegExp(`home holds the ${what} that is read`))
  await expect(open(at('home', 'input'))).rejects.toThrow(new RegExp(`input is the ${what} that is read`))
  await expect(open(at('link'))).rejects.toThrow(/is the .* that is read/)
  await expect(open(at('home', 'input'), { [what]: at('link', 'x') })).rejects.toThrow(/holds the/)
  await mkdir(at('out.work'))
  await writeFile(at('out.work', 'x'), '')
  await expect(open(at('out'), { [what]: at('out.work', 'x') })).rejects.toThrow(/out\.work holds the/)
  await expect(open(at('new'), { [what]: 'npm:@reallm/tiny' })).resolves.toMatchObject({ place: at('new') })
})

test('links are resolved: to a directory, to nothing yet, and the working directory', async () => {
  await mkdir(at('disk', 'there'), { recursive: true })
  await symlink(at('disk', 'there'), at('link'))
  await symlink('disk/not-yet', at('dangling'))
  await write(at('link'), { 'config.json': 'a' })
  await write(at('dangling'), { 'config.json': 'b' })
  expect(await text('disk', 'there', 'config.json')).toBe('a')
  expect(await text('disk', 'not-yet', 'config.json')).toBe('b')
  expect(await visible('disk')).toEqual(['not-yet', 'there'])

  await mkdir(at('here'))
  const before = process.cwd()
  const inode = (await stat(at('here'))).ino
  process.chdir(at('here'))
  try {
    await write('.', { 'config.json': 'c' })
    await write('.', { 'config.json': 'd' }, { force: true })
  } finally {
    process.chdir(before)
  }
  expect(await text('here', 'config.json')).toBe('d')
  expect((await stat(at('here'))).ino).toBe(inode)
})

test('one file: others beside it stay, itself is only replaced with --force, links to it are resolved', async () => {
  await writeFile(at('other.gguf'), 'other')
  const file = {}
  await write(at('x.gguf'), { 'x.gguf': 'one' }, { file })
  await expect(write(at('x.gguf'), { 'x.gguf': 'two' }, { file })).rejects.toThrow(/x\.gguf is there already/)
  await symlink(at('x.gguf'), at('link.gguf'))
  await write(at('link.gguf'), { 'x.gguf': 'two' }, { file, force: true })
  expect(await text('x.gguf')).toBe('two')
  await expect(write(at('other.gguf'), { 'other.gguf': 'x' }, { file, force: true })).rejects.toThrow(
    /did not write: other\.gguf/,
  )
  expect(await visible()).toEqual(['link.gguf', 'other.gguf', 'x.gguf'])
  await expect(openDestination(folder, { inputs: {}, file })).rejects.toThrow(/is a directory, not a file/)
  await expect(openDestination(at('x.gguf'), { inputs: {} })).rejects.toThrow(/is a file, not a directory/)
})

test('one file: neither the file that is read nor a part of a model that is, beside it too', async () => {
  await mkdir(at('m'))
  for (const name of ['config.json', 'model.safetensors']) await writeFile(at('m', name), name)
  const open = (to: string, model: string, beside: string[] = []) =>
    openDestination(to, { inputs: { model }, file: { beside }, force: true })
  await expect(open(at('m', 'model.safetensors'), at('m'))).rejects.toThrow(/belongs to the model/)
  await expect(open(at('m', 'model.safetensors'), at('m', 'model.safetensors'))).rejects.toThrow(
    /is the model that is read/,
  )
  await expect(open(at('m', 'new.safetensors'), at('m'), ['config.json'])).rejects.toThrow(
    /config\.json belongs to the model/,
  )
  await expect(open(at('m', 'new.gguf'), at('m'))).resolves.toBeDefined()
})

test('places that cannot be written are refused with the reason', async () => {
  await writeFile(at('file'), '')
  await symlink('circle', at('circle'))
  const open = (to: string, bytes = 0) => openDestination(to, { inputs: {}, bytes })
  await expect(open(at('file', 'out'))).rejects.toMatchObject({
    message: expect.stringMatching(/is a file|no directory/),
  })
  await expect(open(at('n'.repeat(250)))).rejects.toMatchObject({
    code: 'io',
    message: expect.stringMatching(/too long/),
  })
  await expect(open(at('circle'))).rejects.toMatchObject({
    code: 'io',
    message: expect.stringMatching(/in a circle/),
  })
  await expect(open('/dev/null')).rejects.toThrow(/neither a file nor a directory/)
  await expect(open('/proc/out')).rejects.toMatchObject({
    code: 'io',
    message: expect.stringMatching(/cannot be written/),
  })
  await expect(open(at('out'), 2 ** 60)).rejects.toMatchObject({
    code: 'io',
    message: expect.stringMatching(/are free/),
  })
  await expect(open('')).rejects.toThrow(/no name/)
  expect(await visible()).toEqual(['circle', 'file'])
})

test('a resumed run knows its own published result from that of another', async () => {
  await write(at('out'), { 'config.json': '{}' }, {}, 'digest of options')
  const resumed = await openDestination(at('out'), { inputs: {}, resume: true })
  expect(resumed.isPublished('digest of options')).toBe(true)
  expect(() => resumed.isPublished('another')).toThrow(/is not empty/)
  const forced = await openDestination(at('out'), { inputs: {}, resume: true, force: true })
  expect(forced.isPublished('another')).toBe(false)
  expect((await openDestination(at('new'), { inputs: {}, resume: true })).isPublished('any')).toBe(false)
})
