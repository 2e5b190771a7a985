import { cpuSeconds } from '#platform'
import { memoryScratch } from '../calibrate/activations.ts'
import { batchesOf, embeddingRows, embedSequences } from '../calibrate/hidden-states.ts'
import type { Encoder } from '../encoder/encode-job.ts'
import type { MatrixModule } from '../open/model-parts.ts'
import type { QuantiseContext, QuantiseInput } from '../quantise/quantise-context.ts'
import { openLayer, quantiseLayer } from '../quantise/quantise-layer.ts'

/** Sequences that a layer is run on besides a single one: as many as take so many seconds, at most so many. */
const more = { seconds: 2, most: 24 }

/**
 * Processor seconds of quantising's forward passes and statistics: one layer of each kind is run on one and on several sequences,
 * its matrices left as they are, and the others are taken to be alike.
 */
export async function activationSeconds(input: QuantiseInput): Promise<number> {
  const { config, parts } = input.model
  const count = input.sequences.calibration.length
  const known = new Map<string, number>()
  let total = 0
  for (let layer = 0; layer < config.layers; layer++) {
    const kind = kindOf(parts.matrices.filter(module => module.layer === layer))
    let seconds = known.get(kind)
    if (seconds === undefined) {
      // What is compiled or allocated at its first use is no part of it.
      await secondsOfLayer(input, layer, 1)
      const one = await secondsOfLayer(input, layer, 1)
      const several = Math.min(count, more.most, 2 + Math.floor(more.seconds / one))
      const each = several > 1 ? ((await secondsOfLayer(input, layer, several)) - one) / (several - 1) : 0
      seconds = one + Math.max(0, each) * (count - 1)
      known.set(kind, seconds)
    }
    total += seconds
  }
  return total
}

const kindOf = (modules: readonly MatrixModule[]): string =>
  modules.map(({ kind, shape }) => `${kind} ${shape.join()}`).join()

/** Processor seconds of one layer on the first few sequences, without encoding its matrices. */
async function secondsOfLayer(input: QuantiseInput, layer: number, count: number): Promise<number> {
  const { model, sequences } = input
  const calibration = sequences.calibration.slice(0, count)
  const context: QuantiseContext = {
    ...input,
    // No layer after this one is opened.
    model: { ...model, config: { ...model.config, layers: layer + 1 } },
    sequences: { ...sequences, calibration },
    encoder: leavesMatrices,
    scratch: memoryScratch,
    matrices: {
      reports: new Map(),
      encoded: notStored,
      rowsOf: notStored,
      decoded: async () => undefined,
      add: async () => {},
    },
  }
  const rows = await embeddingRows(model.weights, calibration)
  const start = () => embedSequences(model.weights, rows, batchesOf(calibration), memoryScratch)
  const passes = { original: await start(), quantised: await start() }
  const before = cpuSeconds()
  await quantiseLayer(context, layer, passes, await openLayer(context, layer, passes.original))
  return cpuSeconds() - before
}

const leavesMatrices: Encoder = {
  threads: 1,
  encode: async ({ w }) => [
    {
      encoded: { codec: '', shape: [w.rows, w.cols], params: {}, parts: {} },
      decoded: w,
      error: 0,
      plainError: 0,
      seconds: 0,
    },
  ],
  close: async () => {},
}

const notStored = (): never => {
  throw new Error('nothing is stored while time is measured')
}
