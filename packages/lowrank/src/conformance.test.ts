import { conformance } from '@reallm/tensor-io/conformance'
import { describe, it } from 'vitest'
import { lowrank, lplrCodec, lr2vq, monarchCodec, romCodec, ternaryCodec } from './index.ts'

const runner = { describe, it }
const whole = {
  columns: 'a factorisation sees the whole matrix',
  rows: 'rows are not decoded alone',
}

conformance(runner, {
  codec: lowrank,
  cases: [
    { params: { rank: 1 }, gaussian: 1, real: 0.717 },
    { params: { rank: 32, bits: 8 }, gaussian: 0.525, real: 0.02 },
    { params: { rank: 32, bits: 4 }, gaussian: 0.533, real: 0.039 },
    { params: { rank: 48, bits: 16 }, gaussian: 0.362, real: 0.004 },
  ],
  badShape: { shape: [4, 8], params: { rank: 5 }, says: /rank 5.*use 1 to 4/ },
  skip: { columns: whole.columns },
})

conformance(runner, {
  codec: lplrCodec,
  cases: [
    { params: { rank: 1 }, gaussian: 1, real: 0.904 },
    { params: { rank: 32, leftBits: 4, rightBits: 4 }, gaussian: 0.694, real: 0.137 },
    {
      params: { rank: 32, leftBits: 4, rightBits: 4, sketch: 'svd', rounding: 'nearest' },
      gaussian: 0.544,
      real: 0.044,
    },
  ],
  badShape: { shape: [4, 8], params: { rank: 5 }, says: /rank 5.*use 1 to 4/ },
  skip: whole,
})

conformance(runner, {
  codec: romCodec,
  cases: [
    { params: { rank: 1 }, gaussian: 1, real: 0.717 },
    { params: { share: 0.5 }, gaussian: 0.406, real: 0.04 },
    { params: { share: 0.9, bits: 8 }, gaussian: 0.148, real: 0.007 },
  ],
  badShape: { shape: [8, 8], params: { share: 0.1 }, says: /no rank fits 0.1.*0.25/ },
  skip: whole,
})

conformance(runner, {
  codec: monarchCodec,
  cases: [
    { params: {}, gaussian: 0.815, real: 0.514 },
    { params: { rank: 2, bits: 8 }, gaussian: 0.639, real: 0.282 },
  ],
  badShape: { shape: [12, 20], params: { inBlocks: 3 }, says: /do not divide.*use 4 and/ },
  skip: whole,
})

conformance(runner, {
  codec: ternaryCodec,
  cases: [
    { params: { rank: 1 }, gaussian: 1, real: 1 },
    { params: { rank: 48, bits: 4, density: 0.2 }, gaussian: 0.849, real: 0.753 },
  ],
  badShape: { shape: [4, 8], params: { rank: 5 }, says: /rank 5.*use 1 to 4/ },
  skip: whole,
})

conformance(runner, {
  codec: lr2vq,
  cases: [
    { params: { codeBits: 6, vector: 4, dim: 3 }, gaussian: 0.33, real: 0.306 },
    { params: { codeBits: 8, vector: 4, dim: 4 }, gaussian: 0.089, real: 0.076 },
    { params: { codeBits: 8, vector: 4, dim: 3 }, gaussian: 0.282, real: 0.255 },
  ],
  badShape: {
    shape: [4, 8],
    params: { vector: 4, dim: 5 },
    says: /dim 5 is larger than vector 4.*use 1 to 4/,
  },
})
