import { type Matrix, matrix, random } from '../../../packages/tensor-io/src/index.ts'
import { openWeights } from '../../../packages/transformer/src/index.ts'

export interface StudyMatrix {
  readonly name: string
  readonly kind: 'structured' | 'near Gaussian' | 'real'
  load(): Promise<Matrix>
}

const SIDE = 384
const TURN = 2 * Math.PI

function drawn(value: (y: number, x: number) => number, side = SIDE): Matrix {
  return matrix(
    Float32Array.from({ length: side * side }, (_, i) => value(Math.floor(i / side), i % side)),
    [side, side],
  )
}

/** A field of plane waves, amplitudes falling with frequency. */
function field(waves: number, highest: number, seed = 1): Matrix {
  const rng = random(seed)
  const all = Array.from({ length: waves }, () => {
    const frequency = 0.5 + highest * rng.uniform() ** 2
    const angle = TURN * rng.uniform()
    const step = (TURN * frequency) / SIDE
    return [
      step * Math.sin(angle),
      step * Math.cos(angle),
      TURN * rng.uniform(),
      rng.normal() / frequency,
    ] as const
  })
  return drawn((y, x) =>
    all.reduce((sum, [fy, fx, phase, a]) => sum + a * Math.cos(fy * y + fx * x + phase), 0),
  )
}

/** Soft-edged discs over a gradient: what a photograph of plain objects is like. */
function image(seed = 2): Matrix {
  const rng = random(seed)
  const discs = Array.from({ length: 40 }, () => [
    SIDE * rng.uniform(),
    SIDE * rng.uniform(),
    10 + 50 * rng.uniform(),
    rng.normal(),
  ])
  return drawn((y, x) =>
    discs.reduce(
      (sum, [cy, cx, radius, a]) => sum + a / (1 + Math.exp(Math.hypot(y - cy, x - cx) - radius)),
      (x + y) / SIDE - 1,
    ),
  )
}

/** Every diagonal constant, drawn through a low-pass filter of about 12 taps. */
function toeplitz(): Matrix {
  const rng = random(3)
  const noise = Float32Array.from({ length: 2 * SIDE + 64 }, () => rng.normal())
  const line = Float32Array.from({ length: 2 * SIDE }, (_, i) => {
    let sum = 0
    for (let k = -24; k <= 24; k++) sum += Math.exp(-((k / 6) ** 2)) * noise[i + k + 24]
    return sum
  })
  return drawn((y, x) => line[y - x + SIDE])
}

function normals(power: number): Matrix {
  const rng = random(4)
  return drawn(() => {
    const v = rng.normal()
    return Math.sign(v) * Math.abs(v) ** power
  })
}

/** The first rows of a tensor. */
function real(spec: string, tensor: string, rows: number): StudyMatrix {
  return {
    name: `${spec.includes('SmolLM2') ? 'SmolLM2' : 'embedded model'} ${tensor.replace(/^model\.(layers\.)?|\.weight$/g, '')}`,
    kind: 'real',
    async load() {
      const model = await openWeights(spec)
      const { shape, data } = await model.read(tensor, [0, rows])
      await model.close()
      return matrix(data, [shape[0], shape[1]])
    },
  }
}

export const studyMatrices = (smollm: string | undefined, embedded: string): StudyMatrix[] => [
  { name: 'low-frequency field', kind: 'structured', load: async () => field(300, 30) },
  { name: 'smooth image', kind: 'structured', load: async () => image() },
  { name: 'low-pass Toeplitz', kind: 'structured', load: async () => toeplitz() },
  {
    name: 'position table',
    kind: 'structured',
    load: async () =>
      drawn((pos, i) => {
        const angle = pos / 10_000 ** ((2 * Math.floor(i / 2)) / SIDE)
        return i % 2 === 0 ? Math.sin(angle) : Math.cos(angle)
      }),
  },
  { name: 'Gaussian', kind: 'near Gaussian', load: async () => normals(1) },
  { name: 'heavy tails', kind: 'near Gaussian', load: async () => normals(1.6) },
  real(embedded, 'model.embed_tokens.weight', 512),
  real(embedded, 'model.layers.0.self_attn.q_proj.weight', 192),
  real(embedded, 'model.layers.0.mlp.up_proj.weight', 192),
  ...(smollm
    ? [
        real(smollm, 'model.layers.0.self_attn.q_proj.weight', 576),
        real(smollm, 'model.layers.0.self_attn.k_proj.weight', 192),
        real(smollm, 'model.layers.15.mlp.up_proj.weight', 384),
        real(smollm, 'model.embed_tokens.weight', 512),
      ]
    : []),
]

/** Four matrices of one kind, as the layers of a model have them. */
export const studyGroups = (smollm: string | undefined): { name: string; members: StudyMatrix[] }[] => [
  {
    name: 'four fields',
    members: [1, 2, 3, 4].map(seed => ({
      name: `field ${seed}`,
      kind: 'structured',
      load: async () => field(300, 30, seed),
    })),
  },
  {
    name: 'four images',
    members: [1, 2, 3, 4].map(seed => ({
      name: `image ${seed}`,
      kind: 'structured',
      load: async () => image(seed),
    })),
  },
  ...(smollm
    ? [
        {
          name: 'SmolLM2 q_proj, blocks 0 to 3',
          members: [0, 1, 2, 3].map(i => real(smollm, `model.layers.${i}.self_attn.q_proj.weight`, 192)),
        },
      ]
    : []),
]
