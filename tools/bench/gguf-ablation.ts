/**
 * What error feedback and the search over types gain in GGUF's own types, each alone and together: compresses a model to
 * GGUF files of some sizes, and measures them with the validation sequences of `compress`.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/gguf-ablation.ts [--model npm:@reallm/tiny] [--name NAME]
 *     [--bits 4.7,5.5] [--calib FILE] [--effort fast] [--backend wasm] [--record]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  builtInRecipe,
  type CompressOptions,
  type Configuration,
  compress,
  configuration,
  configurationsFor,
  type MatrixModule,
  type Objective,
  type Recipe,
  recipe,
} from '../../packages/pipeline/src/index.ts'
import { type GgufParams, gguf } from '../../packages/vq/src/index.ts'
import { compression, startBench } from '../results/record.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'npm:@reallm/tiny' },
    name: { type: 'string' },
    bits: { type: 'string', default: '4.7,5.5' },
    calib: { type: 'string' },
    effort: { type: 'string', default: 'fast' },
    backend: { type: 'string', default: 'wasm' },
  },
})

const finish = startBench({
  name: 'gguf-ablation',
  what: "A model in GGUF's own types: rounded to nearest or with error feedback, one type for all layers or one for each matrix by search.",
  sources: compression,
  columns: {
    model: { label: 'model' },
    asked: { label: 'bits per weight, at most' },
    how: { label: 'how' },
    bitsPerWeight: { label: 'bits per weight', unit: 'bits', digits: 2 },
    perplexity: { label: 'perplexity', unit: '', digits: 2 },
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 4 },
  },
  key: ['model', 'asked', 'how'],
  seed: 0,
})

const full = builtInRecipe('gguf')
/** Types that no search combines: one for all matrices of the layers. */
const nearest = (module: MatrixModule): Configuration[] =>
  configurationsFor(full, module, 'fast').map(({ id, label, params }) =>
    configuration({ id: `${id}-nearest`, label, codec: gguf, params: params as GgufParams }),
  )
const weights: Objective = { kind: 'weights' }
const variants: Readonly<Record<string, Recipe>> = {
  'rounded to nearest, one type': recipe({
    ...full,
    ...{ name: 'gguf-nearest', layers: nearest, embeddings: nearest },
    ...{ objective: weights, quantise: { kind: 'perMatrix' }, allocate: 'uniform' },
  }),
  'types by search': recipe({
    ...full,
    ...{ name: 'gguf-search', layers: nearest, embeddings: nearest },
    ...{ objective: weights, quantise: { kind: 'perMatrix' } },
  }),
  'error feedback': recipe({ ...full, name: 'gguf-feedback', allocate: 'uniform' }),
  'error feedback, types by search': full,
}

const folder = await mkdtemp(join(tmpdir(), 'gguf-ablation-'))
const rows = []
try {
  for (const asked of values.bits.split(',')) {
    for (const [how, recipe] of Object.entries(variants)) {
      const to = join(folder, `${asked}-${recipe.name}.gguf`)
      const options = { to, recipe, target: 'gguf', bits: Number(asked), ...common() } as const
      const { size, quality } = await compress(values.model, options)
      const { perplexity, kl } = quality!.compressed
      const model = values.name ?? values.model.split('/').at(-1)!
      rows.push({ model, asked, how, bitsPerWeight: size.bitsPerWeight, perplexity, kl })
      console.error(`${asked} ${how}: KL ${kl.toFixed(4)}`)
    }
  }
} finally {
  await rm(folder, { recursive: true })
}
finish(rows)

function common(): Pick<CompressOptions, 'effort' | 'backend' | 'calibration'> {
  const { effort, backend, calib } = values as Pick<CompressOptions, 'effort' | 'backend'> & typeof values
  return { effort, backend, calibration: calib }
}
