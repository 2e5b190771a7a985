import * as nodeFs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import * as nodePath from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { usePageFiles } from './page-files.ts'

const page = usePageFiles()
const onDisk = await nodeFs.mkdtemp(nodePath.join(tmpdir(), 'reallm-page-files-'))
afterAll(() => nodeFs.rm(onDisk, { recursive: true }))

type Fs = Pick<typeof nodeFs, keyof typeof page.fs & keyof typeof nodeFs>
type Systems = [name: string, fs: Fs, path: typeof page.path, root: string]
const systems: Systems[] = [
  ['node', nodeFs, nodePath, onDisk],
  ['page', page.fs as Fs, page.path, 'memory:/root'],
]

describe.each(systems)('files of a %s', (_, fs, { join, dirname, basename, resolve }, root) => {
  const at = (...parts: string[]) => join(root, ...parts)

  it('are written in any order, read in pieces, and renamed with their folder', async () => {
    await fs.mkdir(at('a', 'b'), { recursive: true })
    const file = await fs.open(at('a', 'b', 'x'), 'w')
    await file.write(Uint8Array.of(0, 3, 4), 1, 2, 3)
    await file.write(Uint8Array.of(7), 0, 1, 0)
    await file.sync()
    await file.close()
    await fs.rename(at('a'), at('c'))
    const again = await fs.open(at('c', 'b', 'x'), 'r')
    const into = new Uint8Array(4)
    expect((await again.read(into, 1, 3, 2)).bytesRead).toBe(3)
    expect([...into]).toEqual([0, 0, 3, 4])
    expect((await again.stat()).size).toBe(5)
    await again.close()
    expect([...(await fs.readFile(at('c', 'b', 'x')))]).toEqual([7, 0, 0, 3, 4])
    const [entry] = (await fs.readdir(at('c'), { withFileTypes: true })) as {
      name: string
      isDirectory(): boolean
    }[]
    expect([entry.name, entry.isDirectory()]).toEqual(['b', true])
  })

  it('refuse what is not there by its code, and are removed with their folder', async () => {
    await expect(fs.open(at('nowhere', 'x'), 'w')).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(fs.readFile(at('nowhere'))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(fs.readFile(at('c'))).rejects.toMatchObject({ code: 'EISDIR' })
    await expect(fs.readdir(at('c', 'b', 'x'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    await expect(fs.rm(at('nowhere'))).rejects.toMatchObject({ code: 'ENOENT' })
    await fs.rm(at('nowhere'), { force: true })
    await fs.rm(at('c'), { recursive: true })
    await expect(fs.stat(at('c', 'b', 'x'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('have paths that can be taken apart', () => {
    expect(resolve(at('a', '..', 'b'))).toBe(resolve(at('b')))
    expect(resolve(dirname(at('a', 'b')))).toBe(resolve(at('a')))
    expect(basename(at('a', 'b.txt'))).toBe('b.txt')
  })
})

it('a page lists and removes what is in a folder', () => {
  page.write('out/one', 'text')
  page.write('out/.hidden', 'text')
  page.write('out/sub/two', Uint8Array.of(1))
  expect([...page.list('out')].map(([name, { length }]) => [name, length])).toEqual([['one', 4]])
  page.remove('out')
  expect(page.list('memory:/out').size).toBe(0)
})
