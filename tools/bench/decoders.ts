/**
 * Decoders that all layers of a kind share, on the matrices of a language model at 2 bits: tables of trellis states and lattices,
 * each fitted to the values that error feedback hands it, against the fixed table. Beside them what is left to win: what better
 * densities than the normal one would save. At last the model with some of its layers rounded.
 *
 *   npx tsx --conditions=@reallm/source tools/bench/decoders.ts --model MODEL.gguf [--layers 0,15] [--kl-layers 0,6,12,18,24] [--state-bits 10]
 *     [--parts errors,densities,kl] [--sequences 12] [--backend wasm] [--record]
 *
 * Weights are rounded with one-sided error feedback under the Hessian of half of the sequences. Errors are
 * tr(E H Eᵀ) / tr(W H Wᵀ) under the H of the other half. φ is counted as shared by all layers of the model.
 */
import { parseArgs } from 'node:util'
import { outputError, transpose, trellisTable } from '../../packages/kernels/src/index.ts'
import type { Matrix, MatrixCodec } from '../../packages/tensor-io/src/index.ts'
import { type BackendName, openWeights, useBackend } from '../../packages/transformer/src/index.ts'
import { rotate, rotated, scaled, withFeedback } from '../../packages/vq/src/index.ts'
import { packages, startBench } from '../results/record.ts'
import * as density from './decoders/densities.ts'
import { divergences } from './decoders/divergence.ts'
import { fitTables, recorded, type Targets } from './decoders/fit.ts'
import { fitLattice } from './decoders/lattice.ts'
import { type Hessians, hessiansOf, kinds, nameOf, sequencesOf, weightOf } from './decoders/real-matrices.ts'
import { type Rounding, roundedWith, scaledByColumn, trellisRounding } from './decoders/rounded.ts'

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    layers: { type: 'string', default: '0,15' },
    'kl-layers': { type: 'string', default: '0,6,12,18,24' },
    'state-bits': { type: 'string', default: '10' },
    parts: { type: 'string', default: 'errors,densities,kl' },
    sequences: { type: 'string', default: '12' },
    backend: { type: 'string' },
  },
})
if (!values.model) throw new Error('needs --model')
const SEED = 1
const BITS = 2
const stateBits = Number(values['state-bits'])
const parts = values.parts.split(',')

const sources = [
  ...packages('tensor-io', 'kernels', 'vq', 'transformer'),
  'tools/bench/decoders',
  'tools/bench/decoders.ts',
]
const share = { unit: 'share', scale: 100, digits: 1 }
const bits = { label: 'bpw', unit: 'bits per weight', digits: 3 }
const finishErrors = startBench({
  name: 'decoders',
  what: 'Decoders of matrices at 2 bits under error feedback, φ counted; changes of the error on other tokens, at equal bits, against the fixed table at the scale of the weights, behind a rotation.',
  sources,
  columns: {
    kind: { label: 'matrix' },
    space: { label: 'weights' },
    decoder: { label: 'decoder' },
    rates: { label: 'rates of columns' },
    bits,
    error: { label: 'error, %', unit: 'share', scale: 100, digits: 2 },
    change: { label: 'change at equal bits, %', ...share },
    changeFirst: { label: 'of it in the first layer, %', ...share },
    changeOthers: { label: 'in the others, %', ...share },
  },
  key: ['kind', 'space', 'decoder', 'rates'],
  seed: SEED,
})
const finishDensities = startBench({
  name: 'decoder-densities',
  what: 'How far weights are from normal, and what a decoder for their density would save: fitted to the even layers, measured on the odd ones.',
  sources,
  columns: {
    kind: { label: 'matrix' },
    space: { label: 'weights' },
    kurtosis: { label: 'kurtosis', unit: '', digits: 2 },
    marginal: { label: 'saved by the density of single weights, bits', unit: 'bits per weight', digits: 4 },
    covariance: { label: 'saved by one covariance for all layers, bits', unit: 'bits per weight', digits: 4 },
  },
  key: ['kind', 'space'],
  seed: SEED,
})
const finishModels = startBench({
  name: 'decoder-kl',
  what: 'All matrices of some layers at 2 bits, each rounded on the original model; KL to the original on held-out sequences, φ counted.',
  sources,
  columns: {
    decoder: { label: 'decoder' },
    bits,
    kl: { label: 'KL, nats/token', unit: 'nats per token', digits: 3 },
    change: { label: 'change at equal bits, %', ...share },
  },
  key: ['decoder'],
  seed: SEED,
})

/** Before the inner codec: a wrapper, how many codecs it is made of, and the bits that it stores with a matrix. */
const spaces = {
  rotated: { wrap: (codec: MatrixCodec<unknown>) => rotated(codec), depth: 1, side: () => 64 },
  'columns scaled, rotated': {
    wrap: (codec: MatrixCodec<unknown>) => scaled(rotated(codec), { rows: false }),
    depth: 2,
    side: ({ cols }: Matrix) => 64 + 8 * cols,
  },
  'rows and columns scaled': {
    wrap: (codec: MatrixCodec<unknown>) => scaled(codec),
    depth: 1,
    side: ({ rows, cols }: Matrix) => 32 + 8 * (rows + cols),
  },
} as const
type Space = keyof typeof spaces

interface Member {
  readonly name: string
  readonly w: Matrix
  readonly hessians: Hessians
}

async function decoded({ w, hessians }: Member, space: Space, rounding: Rounding): Promise<Matrix> {
  const { wrap, depth } = spaces[space]
  const codec = wrap(withFeedback(roundedWith(rounding)) as MatrixCodec<unknown>)
  let params: { inner?: unknown } = { bits: BITS, stateBits } as object
  for (let i = 0; i < depth; i++) params = { inner: params }
  const context = { hessian: hessians.rounding, seed: SEED }
  return codec.decode(await codec.encode(w, params as { inner: unknown }, context))
}

const fixed = (byCost: boolean) => trellisRounding(bits => trellisTable(stateBits, Math.floor(bits)), byCost)
const mean = (all: readonly number[]) => all.reduce((sum, v) => sum + v, 0) / all.length
/** Error or divergence at other bits: at high rates it falls by a factor of 4 with each. */
const atEqualBits = (ratio: number, more: number) => ratio * 4 ** more - 1

await useBackend(values.backend as BackendName | undefined)
const model = await openWeights(values.model)
const every = Array.from({ length: model.config.layers }, (_, layer) => layer)
const sequences = await sequencesOf(model, Number(values.sequences))
const listed = (list: string) => list.split(',').map(Number)
const wanted = listed(values.layers)
const replaced = listed(values['kl-layers'])
const calibrated = [...(parts.includes('errors') ? wanted : []), ...(parts.includes('kl') ? replaced : [])]
const hessianOf = await hessiansOf(model, calibrated, sequences.calibration)

async function membersOf(kind: string, layers: readonly number[]): Promise<Member[]> {
  const members = []
  for (const layer of layers) {
    const [name, w] = [nameOf(layer, kind), await weightOf(model, layer, kind)]
    members.push({ name, w, hessians: hessianOf(layer, kind) })
  }
  return members
}

async function errorsOf(kind: string) {
  const members = await membersOf(kind, wanted)
  const [{ w }] = members
  const table: { space: Space; decoder: string; rates: string; bits: number; errors: number[] }[] = []
  /** Rounds every member, all alike or each in its way. */
  async function add(space: Space, decoder: string, roundings: readonly Rounding[], more: number) {
    const errors = []
    for (const [m, member] of members.entries()) {
      const found = await decoded(member, space, roundings[m % roundings.length])
      errors.push(outputError(member.w, found, { hessian: member.hessians.measuring }))
    }
    const bits = BITS + (spaces[space].side(w) + more) / w.data.length
    table.push({ space, decoder, rates: roundings[0].byCost ? 'by cost' : 'equal', bits, errors })
    process.stderr.write(`${kind}, ${space}, ${decoder}: ${errors.map(e => e.toPrecision(4)).join(' ')}\n`)
  }
  const { layers } = model.config
  for (const space of ['rotated', 'columns scaled, rotated', 'rows and columns scaled'] as const) {
    const targets: Targets[][] = members.map(() => [])
    if (space === 'rotated')
      await add(space, 'fixed table, scale of the weights', [{ ...fixed(true), narrow: true }], 0)
    await add(
      space,
      'fixed table',
      targets.map(to => recorded(fixed(true), to)),
      0,
    )
    if (space === 'columns scaled, rotated') continue
    const all = fitTables(targets.flat(), stateBits)
    await add(space, 'table of the kind', [trellisRounding(all.values, true)], all.bits / layers)
    if (space !== 'rotated') continue
    const own = targets.map(of => trellisRounding(fitTables(of, stateBits).values, true))
    await add(space, 'table of the matrix, not counted', own, 0)
    if (space === 'rotated')
      await add(space, 'fixed table, scales of columns', [scaledByColumn(fixed(true))], w.cols)
  }
  for (const space of ['rotated', 'rows and columns scaled'] as const) {
    const targets: Targets[] = []
    await add(space, 'fixed table', [recorded(fixed(false), targets)], 0)
    for (const dim of space === 'rotated' ? [1, 8] : [8]) {
      const { rounding, bits } = fitLattice(targets, dim, SEED)
      await add(space, dim === 1 ? '4 levels' : 'lattice of 8 weights', [rounding], bits / layers)
    }
  }
  const [base] = table
  return table.map(({ errors, ...row }) => {
    const ratios = errors.map((error, i) => Math.log(error / base.errors[i]))
    const change = (logs: readonly number[]) => atEqualBits(Math.exp(mean(logs)), row.bits - base.bits)
    return {
      ...{ kind: kind.split('.')[1], ...row, error: mean(errors), change: change(ratios) },
      ...{ changeFirst: change(ratios.slice(0, 1)), changeOthers: change(ratios.slice(1)) },
    }
  })
}

async function densitiesOf(kind: string) {
  const all: Matrix[] = []
  for (const layer of every) all.push(await weightOf(model, layer, kind))
  // Layers have one side in common, that of the residual stream.
  const common = (m: Matrix) => (/o_proj|down_proj/.test(kind) ? transpose(m) : m)
  const even = all.map((_, i) => i).filter(i => i % 2 === 0)
  const odd = all.map((_, i) => i).filter(i => i % 2 === 1)
  const rows = []
  for (const space of ['rotated', 'rows and columns scaled']) {
    const matrices = all.map(w =>
      space === 'rotated' ? rotate(w, SEED, { input: true, output: true }) : density.equalised(w),
    )
    const unit = matrices.map(density.ofUnitVariance)
    const of = (places: readonly number[]) => places.map(i => unit[i])
    const sides = (places: readonly number[]) => of(places).map(common)
    rows.push({
      ...{ kind: kind.split('.')[1], space, kurtosis: mean(unit.map(m => density.kurtosis([m]))) },
      marginal: density.savedByDensity(of(odd), density.histogram(of(even))),
      covariance: density.savedByCovariance(sides(odd), density.covarianceOf(sides(even))),
    })
  }
  return rows
}

/** The model with each decoder in some layers. */
async function divergencesOf() {
  const names = [
    ...['fixed table, scale of the weights', 'fixed table', 'table of the kind'],
    'fixed table, columns scaled before',
  ]
  const models = names.map(() => new Map<string, Matrix>())
  const totals = names.map(() => 0)
  let weights = 0
  for (const kind of kinds) {
    const members = await membersOf(kind, replaced)
    const [{ w }] = members
    const targets: Targets[] = []
    const roundAll = async (place: number, space: Space, rounding: Rounding, more: number) => {
      for (const member of members) models[place].set(member.name, await decoded(member, space, rounding))
      totals[place] += members.length * (BITS * w.data.length + spaces[space].side(w) + more)
    }
    await roundAll(0, 'rotated', { ...fixed(true), narrow: true }, 0)
    await roundAll(1, 'rotated', recorded(fixed(true), targets), 0)
    const table = fitTables(targets, stateBits)
    await roundAll(2, 'rotated', trellisRounding(table.values, true), table.bits / model.config.layers)
    await roundAll(3, 'columns scaled, rotated', fixed(true), 0)
    weights += members.length * w.data.length
    process.stderr.write(`${kind}: ${process.cpuUsage().user / 1e6} CPU s\n`)
  }
  const kls = await divergences(model, sequences.validation, models)
  return names.map((decoder, i) => {
    const bits = totals[i] / weights
    return { decoder, bits, kl: kls[i], change: atEqualBits(kls[i] / kls[0], bits - totals[0] / weights) }
  })
}

if (parts.includes('errors')) {
  const rows = []
  for (const kind of kinds) rows.push(...(await errorsOf(kind)))
  finishErrors(rows)
}
if (parts.includes('densities')) {
  const rows = []
  for (const kind of kinds) rows.push(...(await densitiesOf(kind)))
  finishDensities(rows)
}
if (parts.includes('kl')) finishModels(await divergencesOf())
await model.close()
