import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { openSafetensors } from '../safetensors/open.ts'
import { bytesSource } from '../source/index.ts'
import { openGguf } from './open.ts'

const fixture = async (name: string) =>
  bytesSource(name, await readFile(new URL(`../../../test/fixtures/${name}`, import.meta.url)))

describe('openGguf', () => {
  it('decodes every type bit for bit', async () => {
    const expected = await openSafetensors(await fixture('all-types.expected.safetensors'))
    const file = await openGguf(await fixture('all-types.gguf'))
    expect([...file.tensors.keys()].sort()).toEqual([...expected.tensors.keys()])
    for (const name of expected.tensors.keys()) {
      const values = await file.readFloat32(name)
      const wanted = await expected.readFloat32(name)
      expect(values.shape).toEqual([6, 512])
      expect(new Uint32Array(values.data.buffer), name).toEqual(new Uint32Array(wanted.data.buffer))
      expect((await file.readFloat32(name, [2, 4])).data).toEqual(wanted.data.slice(2 * 512, 4 * 512))
    }
  })
})
