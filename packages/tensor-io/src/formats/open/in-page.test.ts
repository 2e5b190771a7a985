import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { tensor } from '../../core/tensor.ts'
import { encodeSafetensors } from '../safetensors/encode.ts'
import { openModel } from './open-model.ts'

const weights = encodeSafetensors({ a: tensor('F32', [2], Float32Array.of(1, 2)) })
const site: Record<string, Uint8Array<ArrayBuffer> | string> = {
  'https://page.example/models/x/config.json': '{"model_type":"llama"}',
  'https://page.example/models/x/model.safetensors': weights,
  'https://page.example/npm/@me/model/config.json': '{}',
  'https://page.example/npm/@me/model/model.safetensors': weights,
  'https://hub.example/me/model/resolve/main/config.json': '{}',
  'https://hub.example/me/model/resolve/main/model.safetensors': weights,
}
const fetchSite: typeof fetch = async url => {
  const content = site[String(url)]
  return content === undefined ? new Response(null, { status: 404 }) : new Response(content)
}

describe('in a page', () => {
  const { getBuiltinModule } = process
  beforeEach(() => {
    Object.assign(process, { getBuiltinModule: undefined })
    vi.stubGlobal('location', { href: 'https://page.example/app/index.html' })
  })
  afterEach(() => {
    Object.assign(process, { getBuiltinModule })
    vi.unstubAllGlobals()
  })

  it('paths are relative to the page, hf: and npm: are read in place', async () => {
    for (const spec of ['../models/x/', '/models/x', 'hf:me/model', 'npm:@me/model']) {
      const options = { fetch: fetchSite, hubUrl: 'https://hub.example', base: '../npm' }
      const model = await openModel(spec, options)
      expect([...(await model.readFloat32('a')).data]).toEqual([1, 2])
    }
  })

  it('npm: asks where packages are served', async () => {
    await expect(openModel('npm:@me/model')).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('base'),
    })
  })
})
