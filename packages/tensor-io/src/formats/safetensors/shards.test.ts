import { describe, expect, it } from 'vitest'
import { ReallmError } from '../../core/errors.ts'
import { tensor } from '../../core/tensor.ts'
import { bytesSource } from '../source/index.ts'
import { encodeSafetensors } from './encode.ts'
import { openShards, parseShardIndex } from './shards.ts'

const shards: Record<string, Uint8Array> = {
  'one.safetensors': encodeSafetensors({ a: tensor('F32', [2], Float32Array.of(1, 2)) }),
  'two.safetensors': encodeSafetensors({ b: tensor('F16', [2, 1], Uint16Array.of(0x3c00, 0x4000)) }),
}
const open = async (file: string) => {
  if (!shards[file]) throw new ReallmError('not-found', file)
  return bytesSource(file, shards[file])
}
const index = (weight_map: unknown) => parseShardIndex('index.json', { weight_map })

describe('openShards', () => {
  it('reads as one file', async () => {
    const store = await openShards('index.json', index({ a: 'one.safetensors', b: 'two.safetensors' }), open)
    expect([...store.tensors.keys()]).toEqual(['a', 'b'])
    expect(store.bytes).toBe(shards['one.safetensors'].length + shards['two.safetensors'].length)
    expect([...(await store.readFloat32('b', [1, 2])).data]).toEqual([2])
    await expect(store.read('c')).rejects.toThrow('index.json: there is no tensor c')
  })

  it('has the tensors that a shard has and the index does not list', async () => {
    const of = (...names: string[]) =>
      encodeSafetensors(
        Object.fromEntries(names.map((name, i) => [name, tensor('F32', [1], Float32Array.of(i))])),
      )
    const files: Record<string, Uint8Array> = { ab: of('x', 'a', 'b'), c: of('c'), cd: of('x', 'c', 'd') }
    const openAll = (map: unknown) =>
      openShards('index.json', index(map), async f => bytesSource(f, files[f]))
    const store = await openAll({ a: 'ab', c: 'c' })
    expect([...store.tensors.keys()].sort()).toEqual(['a', 'b', 'c', 'x'])
    expect([...(await store.readFloat32('b')).data]).toEqual([2])
    const listed = await openAll({ x: 'ab', c: 'c', d: 'cd' })
    expect([...(await listed.readFloat32('c')).data]).toEqual([0])
    await expect(openAll({ a: 'ab', d: 'cd' })).rejects.toThrow('tensor x is in cd and in another shard')
  })

  it('names a missing shard, a misplaced tensor and an index that leaves its directory', async () => {
    await expect(openShards('index.json', index({ a: 'three.safetensors' }), open)).rejects.toThrow(
      'index.json: the shard three.safetensors is missing',
    )
    await expect(openShards('index.json', index({ b: 'one.safetensors' }), open)).rejects.toThrow(
      'tensor b should be in one.safetensors, but is not',
    )
    expect(() => index({ a: '../one.safetensors' })).toThrow('said to be in "../one.safetensors"')
    expect(() => index({})).toThrow('it has no weight_map')
    expect(() => parseShardIndex('index.json', null)).toThrow('it has no weight_map')
  })
})
