import type { Backend } from '../../../packages/runtime/src/backend/backend.ts'
import { wasmBackend } from '../../../packages/runtime/src/backend/wasm/wasm-backend.ts'
import type { WeightForm } from '../../../packages/runtime/src/backend/weight.ts'
import { Decoder } from '../../../packages/runtime/src/decoder.ts'
import { loadWeights } from '../../../packages/runtime/src/load-weights.ts'
import { openModel } from '../../../packages/tensor-io/src/index.ts'
import { openWeights } from '../../../packages/tensor-io/src/models/index.ts'

export interface Check {
  readonly model: string
  /** ‖logits − those of float32 on the CPU‖ / ‖those‖, of a batch and token by token. */
  readonly batch: number
  readonly oneByOne: number
  /** Positions whose likeliest token is another. */
  readonly different: number
  /** Tokens drawn greedily on the device that are not those of the logits. */
  readonly drawn: number
}

/** Logits of a model on a GPU beside those of float32 on the CPU. */
export async function check(gpu: Backend, where: string, form: WeightForm): Promise<Check> {
  const cpu = await wasmBackend()
  const source = await openWeights(await openModel(where))
  const { config } = source
  const ids = Array.from({ length: 40 }, (_, i) => (i * i * 7 + 3) % Math.min(config.vocabSize, 90))
  const run = async (backend: Backend, as: WeightForm) => {
    const { program } = await Decoder.create(
      backend,
      config,
      await loadWeights(backend, source, { form: as }),
    )
    const mixers = config.layerSpecs.map(({ mixer }) => mixer)
    using whole = backend.state(mixers)
    const batch = await program.logits({ ids, state: whole, length: ids.length }, 'all')
    using state = backend.state(mixers)
    const single = new Float32Array(batch.length)
    for (const [t, id] of ids.entries()) {
      single.set(await program.logits({ ids: [id], state, length: t + 1 }, 'last'), t * config.vocabSize)
    }
    using again = backend.state(mixers)
    const draws = new Array<number>(4).fill(0.5)
    const drawn = await program.sample(
      { ids: ids.slice(0, 20), state: again, length: 30 },
      { options: {}, previous: [], draws },
    )
    return { batch, single, drawn }
  }
  const want = await run(cpu, 'f32')
  const got = await run(gpu, form)
  await source.close()
  let different = 0
  for (let t = 0; t < ids.length; t++) {
    const of = (all: Float32Array) => all.subarray(t * config.vocabSize, (t + 1) * config.vocabSize)
    const best = (v: Float32Array) => v.indexOf(v.reduce((a, b) => Math.max(a, b)))
    if (best(of(got.batch)) !== best(of(want.batch))) different++
  }
  return {
    ...{ model: where, different },
    batch: distance(got.batch, want.batch),
    oneByOne: distance(got.single, want.batch),
    drawn: got.drawn.filter((id, i) => id !== want.drawn[i]).length,
  }
}

function distance(got: Float32Array, want: Float32Array): number {
  let [difference, norm] = [0, 0]
  for (const [i, value] of want.entries()) {
    difference += (got[i] - value) ** 2
    norm += value ** 2
  }
  return Math.sqrt(difference / norm)
}
