import { conformance } from '@reallm/tensor-io/conformance'
import { useBackend } from '@reallm/transformer'
import { beforeAll, describe, it } from 'vitest'
import { autoencoder, implicit } from './index.ts'

beforeAll(async () => {
  await useBackend('wasm')
})

conformance(
  { describe, it },
  {
    codec: autoencoder,
    cases: [
      { params: { patch: 16, latentWidth: 4, steps: 3, batch: 2 }, gaussian: 0.85, real: 0.8 },
      {
        params: { patch: 16, stages: 1, latentWidth: 2, scaling: 'matrix', steps: 3, batch: 2 },
        gaussian: 0.7,
        real: 0.65,
      },
      {
        params: { patch: 16, start: 'encoder', latentWidth: 4, steps: 4, batch: 2 },
        gaussian: 1.3,
        real: 1.3,
      },
    ],
    skip: {
      'bad shape': 'patches cover any shape',
      columns: 'it looks at whole patches',
      rows: 'convolutions reach over rows',
    },
  },
)

conformance(
  { describe, it },
  {
    codec: implicit,
    cases: [
      { params: { dim: 4, codeBits: [4, 4], hidden: 8, rounds: 2, steps: 10 }, gaussian: 0.11, real: 0.13 },
    ],
    skip: { 'bad shape': 'vectors are padded to any shape' },
  },
)
