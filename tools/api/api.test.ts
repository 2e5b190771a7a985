import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, expectTypeOf, it } from 'vitest'
import type { Evaluation, RunningModel } from '../../packages/eval/src/index.ts'
import { perplexity } from '../../packages/eval/src/index.ts'
import { compress } from '../../packages/pipeline/src/index.ts'
import { type LoadedModel, load as loadAny } from '../../packages/reallm/src/index.ts'
import { load, type Model, type WorkerModel } from '../../packages/runtime/src/index.ts'
import { type ModelFiles, openModel, ReallmError, type Tensor } from '../../packages/tensor-io/src/index.ts'
import { trellis, withFeedback } from '../../packages/vq/src/index.ts'
import { type Entry, publishedApi } from './exports.ts'
import { apiReport } from './report.ts'

let api: Map<string, Entry[]>
beforeAll(() => {
  api = publishedApi()
})

describe('the public API', () => {
  it('is what its reports say (npm run api writes them)', () => {
    const folder = join(import.meta.dirname, 'reports')
    const withApi = [...api].filter(([, entries]) => entries.length > 0)
    expect(readdirSync(folder).sort()).toEqual(withApi.map(([name]) => `${name}.md`).sort())
    for (const [name, entries] of withApi) {
      expect(apiReport(entries), name).toBe(readFileSync(join(folder, `${name}.md`), 'utf8'))
    }
  })

  it('has a docstring on every export', () => {
    const all = [...api.values()].flat().flatMap(({ exports }) => exports)
    expect(all.length).toBeGreaterThan(1000)
    const missing = all.filter(({ isDocumented }) => !isDocumented).map(e => `${e.file}: ${e.name}`)
    expect([...new Set(missing)]).toEqual([])
  })
})

describe('types of main entry points', () => {
  it('say what calls take and return', () => {
    expectTypeOf(openModel).parameter(0).toEqualTypeOf<string>()
    expectTypeOf(openModel).returns.resolves.toEqualTypeOf<ModelFiles>()
    expectTypeOf<ModelFiles['readFloat32']>().returns.resolves.toEqualTypeOf<Tensor<'F32'>>()
    const here = () => load('model', { device: 'auto' })
    expectTypeOf(here).returns.resolves.toEqualTypeOf<Model>()
    const away = () => load('model', { device: 'auto', worker: true })
    expectTypeOf(away).returns.resolves.toEqualTypeOf<WorkerModel>()
    expectTypeOf<WorkerModel>().toExtend<
      Disposable & Pick<Model, 'bytes' | 'device' | 'eos' | 'useAdapter'>
    >()
    expectTypeOf<Model>().toExtend<Disposable & RunningModel>()
    expectTypeOf(loadAny).returns.resolves.toEqualTypeOf<LoadedModel>()
    expectTypeOf(perplexity).returns.resolves.toEqualTypeOf<Evaluation>()
    expectTypeOf(perplexity).parameter(1).toExtend<readonly number[] | readonly (readonly number[])[]>()
    expectTypeOf(compress).parameter(0).toExtend<string | ModelFiles>()
    expectTypeOf(withFeedback).toBeCallableWith(trellis)
    expectTypeOf(new ReallmError('io', 'text')).toExtend<Error & { readonly hint?: string | undefined }>()
  })
})
