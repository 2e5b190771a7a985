import { random } from '@reallm/tensor-io'
import { type AutoencoderParams, autoencoderLayers } from '@reallm/tensor-io/layouts/autoencoder'
import type { DenseLayer } from '@reallm/tensor-io/layouts/dense-layers'
import { expect, test } from 'vitest'
import { withReference } from '../test/random-matrix.ts'
import { createInference } from './inference/index.ts'
import { nervForward } from './nerv-forward.ts'
import { type PackedNerv, packNerv } from './nerv-pack.ts'
import { createPool } from './pool.ts'

const rng = random(5)
const normals = (n: number, scale = 1) => Float32Array.from({ length: n }, () => rng.normal() * scale)

function randomDecoder(
  settings: Pick<AutoencoderParams, 'stages' | 'latentWidth' | 'decoderWidth' | 'start'>,
) {
  const layers = autoencoderLayers(settings).map(
    ([out, width]): DenseLayer => ({
      weight: { rows: out, cols: width, data: normals(out * width, Math.sqrt(1 / width)) },
      bias: normals(out, 0.3),
    }),
  )
  const layer = settings.start === 'principal' ? layers.pop() : undefined
  const [stem, ...stages] = layers
  const head = stages.pop()!
  const linear = layer && { layer, gains: normals(settings.latentWidth) }
  return { stem, stages, head, ...(linear && { linear }) }
}

const shapes = [
  { count: 3, side: 16, stages: 1, latentWidth: 3, decoderWidth: 5, start: 'principal' },
  { count: 5, side: 16, stages: 2, latentWidth: 16, decoderWidth: 4, start: 'principal' },
  { count: 4, side: 2, stages: 3, latentWidth: 7, decoderWidth: 9, start: 'encoder' },
  { count: 2, side: 1, stages: 4, latentWidth: 8, decoderWidth: 3, start: 'principal' },
  { count: 1, side: 4, stages: 5, latentWidth: 2, decoderWidth: 2, start: 'encoder' },
] as const

function worst(values: Float32Array, wanted: Float32Array): number {
  expect(values.length).toBe(wanted.length)
  return values.reduce((most, v, i) => Math.max(most, Math.abs(v - wanted[i])), 0)
}

test.each(shapes)(
  'the kernel is its reference: $side × $side latents, $stages stages, $start',
  async shape => {
    const { count, side, latentWidth } = shape
    const decoder = packNerv(randomDecoder(shape))
    const latents = normals(count * side * side * latentWidth)
    const wanted = withReference(() => nervForward(latents, count, side, decoder))
    const values = nervForward(latents, count, side, decoder)
    expect(worst(values, wanted)).toBeLessThan(2e-5)
    const pool = await createPool({ threads: 3 })
    try {
      expect(nervForward(latents, count, side, decoder)).toEqual(values)
    } finally {
      pool.close()
    }
    for (const build of ['plain', 'reference'] as const) {
      expect(worst(await inInference(build, latents, count, side, decoder), wanted)).toBeLessThan(2e-5)
    }
  },
)

test('convolutions that add nothing are left out', () => {
  const decoder = randomDecoder(shapes[1])
  decoder.head.weight.data.fill(0)
  decoder.head.bias.fill(0)
  const silent = packNerv(decoder)
  expect(silent.header[3]).toBe(0)
  const latents = normals(16 * 16 * 16)
  const wanted = withReference(() => nervForward(latents, 1, 16, silent))
  expect(worst(nervForward(latents, 1, 16, silent), wanted)).toBeLessThan(2e-5)
})

async function inInference(
  build: 'plain' | 'reference',
  latents: Float32Array,
  count: number,
  side: number,
  { header, layers }: PackedNerv,
): Promise<Float32Array> {
  const { arena, neural } = await createInference({ build })
  const { nerv, nervScratch } = await neural()
  const pixels = count * (side << header[1]) ** 2
  const sizes = [header.length, latents.length, layers.length, pixels]
  const [decoder, from, weights, out] = sizes.map(n => arena.allocate(4 * n))
  arena.bytes(decoder, header.byteLength).set(new Uint8Array(header.buffer))
  const scratch = arena.allocate(nervScratch(decoder, side))
  arena.floats(from, latents.length).set(latents)
  arena.floats(weights, layers.length).set(layers)
  nerv(decoder, from, count, side, weights, out, scratch)
  return arena.floats(out, pixels).slice()
}
