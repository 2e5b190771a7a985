import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { InferenceKernels } from '@reallm/kernels/inference'
import { openWeights } from '@reallm/tensor-io/models'
import { writeRandomModel } from '@reallm/testing'
import { expect, it } from 'vitest'
import { Decoder } from '../../decoder.ts'
import { loadWeights } from '../../load-weights.ts'
import { BATCH, Engine } from './engine.ts'
import type { WasmState } from './state.ts'
import { WasmBackend } from './wasm-backend.ts'

/** MACs that no pass does without a pause between: 50 ms where a device does five thousand million a second. */
const BUDGET = 2 ** 28

/** SmolLM2-135M, of whose layers all are alike, with a small vocabulary. */
const config = {
  model_type: 'llama',
  vocab_size: 512,
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 1,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  max_position_embeddings: 8192,
}

/** Kernels that say how many MACs they are about to do. */
const counting = (kernels: InferenceKernels, count: (macs: number) => void): InferenceKernels => ({
  ...kernels,
  matmulInteger(...given) {
    const [, , , , , rows, stride, , tokens] = given
    count(rows * stride * tokens)
    kernels.matmulInteger(...given)
  },
  pagedAttention(...given) {
    const [, , , tokens, heads, , headDim, position] = given
    count(2 * tokens * heads * headDim * (position + tokens))
    kernels.pagedAttention(...given)
  },
})

it('pauses often enough within a pass of 64 tokens, at the start and the end of the context', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'budget-'))
  await writeRandomModel(folder, config)
  const engine = await Engine.start({ pauseAfter: 0 })
  let [since, most, total] = [0, 0, 0]
  const count = (macs: number) => {
    since += macs
    total += macs
    most = Math.max(most, since)
  }
  Object.assign(engine.inference, { kernels: counting(engine.kernels, count) })
  const pause = engine.turns.pause.bind(engine.turns)
  engine.turns.pause = () => {
    since = 0
    return pause()
  }
  using backend = new WasmBackend(engine, 'int8')
  const model = await openWeights(folder)
  const decoder = await Decoder.create(
    backend,
    model.config,
    await loadWeights(backend, model, { form: 'int8' }),
  )
  await model.close()
  await rm(folder, { recursive: true })

  const state = backend.state(model.config.layerSpecs.map(({ mixer }) => mixer)) as WasmState
  const ids = Array.from({ length: BATCH }, (_, i) => i)
  const layer = BATCH * (576 * (576 + 192 + 192 + 576) + 3 * 576 * 1536)
  for (const before of [0, 8192 - BATCH]) {
    state.reserve(8192)
    state.length = before
    total = 0
    await decoder.program.read({ ids, state, length: before + BATCH })
    expect(total).toBeGreaterThan(layer + (before * BATCH * 2 * 576) / 1.01)
    expect(most).toBeLessThan(BUDGET)
  }
  state[Symbol.dispose]()
})
