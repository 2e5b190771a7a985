import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ReallmError } from '../../core/errors.ts'
import { tensor } from '../../core/tensor.ts'
import { encodeSafetensors } from './encode.ts'
import { createSafetensorsWriter, writeSafetensors } from './write.ts'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'reallm-write-'))
})
afterEach(() => rm(dir, { recursive: true }))

const a = tensor('F32', [2, 2], Float32Array.of(1, 2, 3, 4))
const b = tensor('BF16', [3], Uint16Array.of(1, 2, 3))

describe('createSafetensorsWriter', () => {
  it('writes in any order what encodeSafetensors gives, under its name only when finished', async () => {
    const path = join(dir, 'deep', 'x.safetensors')
    const writer = await createSafetensorsWriter(path, { a, b }, { format: 'pt' })
    await writer.write('b', b)
    await writer.write('a', a)
    expect(await readdir(join(dir, 'deep'))).toEqual(['x.safetensors.partial'])
    await writer.finish()
    expect(await readdir(join(dir, 'deep'))).toEqual(['x.safetensors'])
    const written = new Uint8Array(await readFile(path))
    expect(written).toEqual(encodeSafetensors({ a, b }, { format: 'pt' }))
    expect(writer.bytes).toBe(written.length)
  })

  it('leaves nothing behind when aborted or incomplete', async () => {
    const writer = await createSafetensorsWriter(join(dir, 'x'), { a, b })
    await writer.write('a', a)
    await expect(writer.finish()).rejects.toThrow('1 planned tensors were not written (b, …)')
    const other = await createSafetensorsWriter(join(dir, 'y'), { a })
    await other.abort()
    expect(await readdir(dir)).toEqual([])
  })

  it('refuses what was not planned', async () => {
    const writer = await createSafetensorsWriter(join(dir, 'x'), { a })
    await expect(writer.write('b', b)).rejects.toThrow('there is no tensor b')
    await expect(writer.write('a', b)).rejects.toThrow('a was planned as F32 [2×2], got BF16 [3]')
    await writer.abort()
  })

  it('names a path that cannot be written', async () => {
    await writeSafetensors(join(dir, 'x'), { a })
    await expect(writeSafetensors(join(dir, 'x', 'y'), { a })).rejects.toMatchObject({
      name: 'ReallmError',
      code: 'io',
    })
  })
})

describe.skipIf(!existsSync('/dev/full'))('a full disk', () => {
  it('is said in one sentence, and the partial file is deleted', async () => {
    await symlink('/dev/full', join(dir, 'x.partial'))
    const error = await writeSafetensors(join(dir, 'x'), { a }).catch((e: ReallmError) => e)
    expect(error).toMatchObject({ code: 'io', message: `${join(dir, 'x')}: the disk is full` })
    expect(await readdir(dir)).toEqual([])
  })
})
