/**
 * What structured matrices save in the runtime: the same model with its blocks' matrices dense with 8 bits, as reduced-order
 * models, as low-rank sketches and as Monarch matrices. Prints the MACs of a token and the processor time of one token in
 * decoding and in reading a prompt: the least of all rounds; all models take turns in one process.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/structures.ts [--model npm:@reallm/tiny] [--tokens 64] [--rounds 8] [--record]
 *
 * Factors are fitted to the weights alone: calibration changes their values, not their sizes. They are held as floats,
 * dense weights as integers of one byte.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { lplrCodec, monarchCodec, romCodec } from '../../packages/lowrank/src/index.ts'
import {
  type Configuration,
  compress,
  configuration,
  type MatrixModule,
  recipe,
} from '../../packages/pipeline/src/index.ts'
import { load } from '../../packages/runtime/src/index.ts'
import { grid } from '../../packages/vq/src/index.ts'
import { packages, startBench } from '../results/record.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'npm:@reallm/tiny' },
    tokens: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '8' },
  },
})
const finish = startBench({
  name: 'structures',
  what: 'Speed of the embedded model with the matrices of its blocks in each structured form; embeddings and head dense with 8 bits.',
  sources: packages('tensor-io', 'kernels', 'lowrank', 'runtime'),
  columns: {
    form: { label: 'blocks' },
    bytes: { label: 'MB', unit: 'bytes', scale: 1e-6, digits: 2 },
    macs: { label: 'MACs per token, M', unit: 'MACs', scale: 1e-6, digits: 2 },
    decode: { label: 'decoding, ms per token', unit: 'ms', precision: 3 },
    prompt: { label: 'prompt, ms per token', unit: 'ms', precision: 3 },
  },
  key: ['form'],
  seed: null,
})
const [tokens, rounds] = [Number(values.tokens), Number(values.rounds)]

const dense = configuration({ id: '8 bits', codec: grid, params: { bits: 8, group: 'row' } })
const structures: Record<string, (module: MatrixModule) => Configuration> = {
  'dense, 8 bits': () => dense,
  'ROM, 80 % of the parameters': () =>
    configuration({ id: '80 %', codec: romCodec, params: { share: 0.8, bits: 8 } }),
  'ROM, 50 % of the parameters': () =>
    configuration({ id: '50 %', codec: romCodec, params: { share: 0.5, bits: 8 } }),
  'LPLR, an eighth of full rank': ({ shape }) => {
    const rank = Math.ceil(Math.min(...shape) / 8)
    return configuration({ id: `rank ${rank}`, codec: lplrCodec, params: { rank } })
  },
  Monarch: () => configuration({ id: 'rank 1', codec: monarchCodec, params: { bits: 8 } }),
}

const folder = await mkdtemp(join(tmpdir(), 'reallm-structures-'))
try {
  const models = []
  for (const [i, [name, of]] of Object.entries(structures).entries()) {
    const to = join(folder, `${i}`)
    const own = recipe({
      name: `structure ${i}`,
      what: name,
      source: 'bench',
      layers: (m: MatrixModule) => [of(m)],
      embeddings: () => [dense],
      allocate: 'predicted',
      objective: { kind: 'weights' },
    })
    const { size } = await compress(values.model, {
      ...{ to, recipe: own, bits: 16, evaluate: false, threads: 0 },
    })
    models.push({ name, bytes: size.bytes, model: await load(to, { threads: 1 }) })
  }
  const least = models.map(() => ({ decode: Infinity, prompt: Infinity }))
  for (let round = 0; round < rounds; round++) {
    for (const [i, { model }] of models.entries()) {
      const ids = Array.from({ length: tokens }, (_, t) => 300 + ((37 * t + round) % 1000))
      const session = model.session()
      const prompt = await timed(async () => void (await session.feed(ids)))
      const decode = await timed(async () => {
        for (let t = 0; t < tokens; t++) await session.feed([ids[t]])
      })
      session.dispose()
      least[i] = { decode: Math.min(least[i].decode, decode), prompt: Math.min(least[i].prompt, prompt) }
    }
  }
  finish(
    models.map(({ name, bytes, model }, i) => ({
      ...{ form: name, bytes, macs: model.multiplyAdds },
      ...{ decode: least[i].decode / tokens, prompt: least[i].prompt / tokens },
    })),
  )
  for (const { model } of models) model.dispose()
} finally {
  await rm(folder, { recursive: true })
}

/** Processor time, in milliseconds. */
async function timed(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}
