import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  createArtifactWriter,
  createRegistry,
  type MatrixCodec,
  matrix,
  openModel,
  random,
} from '@reallm/tensor-io'
import ts from 'typescript'
import { afterAll, expect, test } from 'vitest'

/** Follows docs/guides/adding-a-codec.md: its files are written, compiled, and put through the suite. */
const root = join(import.meta.dirname, '..', '..')
const guide = readFileSync(join(root, 'docs', 'guides', 'adding-a-codec.md'), 'utf8')
const blocks = (language: string) =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language} \\[(.+?)\\]\\n(.*?)^\`\`\``, 'gms'))].map(
    ([, path, source]) => ({
      path: path!,
      source: source!,
    }),
  )

// in the package, where its dependencies are found
const folder = join(root, 'packages', 'vq', 'tmp', 'guide')
const files = blocks('ts').map(({ path, source }) => ({
  file: path.replace('packages/vq/src', folder),
  source,
}))
for (const { file, source } of files) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, source)
}
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// registers the suite's tests here
await import(join(folder, 'log', 'log.test.ts'))

test('it compiles without a type error', { timeout: 120_000 }, () => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), path => readFileSync(path, 'utf8'))
  const { options } = ts.parseJsonConfigFileContent(
    { ...config, include: [], files: files.map(f => f.file) },
    ts.sys,
    root,
  )
  const program = ts.createProgram(
    files.map(({ file }) => file),
    { ...options, incremental: false, noEmit: true },
  )
  const messages = files.flatMap(({ file }) => {
    const source = program.getSourceFile(file)!
    return [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  })
  expect(messages.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
})

test('an artifact holds it, and a registry with it reads that', async () => {
  const { log } = (await import(join(folder, 'log', 'index.ts'))) as { log: MatrixCodec<{ bits: number }> }
  const w = matrix(Float32Array.from({ length: 32 * 48 }, random(1).normal), [32, 48])
  const writer = await createArtifactWriter(join(folder, 'artifact'), { config: { model_type: 'llama' } })
  const stored = await log.encode(w, { bits: 4 }, { seed: 1 })
  await writer.addMatrix('m', stored)
  await writer.finish()
  const model = await openModel(join(folder, 'artifact'), { registry: createRegistry([log as MatrixCodec]) })
  expect((await model.readFloat32('m.weight')).data).toEqual(log.decode(stored).data)
  await model.close()
})

test('the lines to change are there', () => {
  const changes = blocks('diff')
  expect(changes).toHaveLength(2)
  for (const { path, source } of changes) {
    const file = readFileSync(join(root, path), 'utf8')
    for (const line of source.split('\n'))
      if (/^[ -]./.test(line)) expect(file, path).toContain(line.slice(1))
  }
})
