import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compress } from '../../../packages/pipeline/src/index.ts'
import { charTokenizer, writeRandomModel } from '../../../packages/testing/src/index.ts'
import { between, type CoreTime, coreTime } from './core-time.ts'

export interface MasterOptions {
  readonly hidden: number
  readonly inner: number
  /** Sequences of 384 tokens for Hessians. */
  readonly sequences: number
  readonly sequential: boolean
}

/** Processor seconds that `compress` takes for a layer besides encoding. */
export interface MasterSeconds {
  /** Gradients and sensitivities, which come first. */
  readonly calibrate: number
  /** Activations, Hessians, and what becomes of encoded matrices. */
  readonly quantise: number
}

const length = 384
/** As many as gradients are taken of; more only add Hessians. */
const measured = [2, 8] as const

/**
 * Compresses a random model of one layer with its matrices encoded by another thread. The quantisation is measured on few
 * sequences, and what it would take on `sequences` lies on the line through two counts.
 */
export async function masterOf({ sequences, ...options }: MasterOptions): Promise<MasterSeconds> {
  const [few, more] = [await onSequences(measured[0], options), await onSequences(measured[1], options)]
  const slope = (more.quantise - few.quantise) / (measured[1] - measured[0])
  return {
    calibrate: more.calibrate,
    quantise: more.quantise + Math.max(0, slope) * (sequences - measured[1]),
  }
}

async function onSequences(
  count: number,
  { hidden, inner, sequential }: Omit<MasterOptions, 'sequences'>,
): Promise<MasterSeconds> {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-master-'))
  const model = join(folder, 'model')
  await writeRandomModel(
    model,
    {
      ...{ model_type: 'llama', architectures: ['LlamaForCausalLM'], rms_norm_eps: 1e-6, rope_theta: 10_000 },
      ...{ hidden_size: hidden, intermediate_size: inner, num_hidden_layers: 1, hidden_act: 'silu' },
      ...{ num_attention_heads: 32, num_key_value_heads: 32, max_position_embeddings: length },
      ...{ tie_word_embeddings: true, vocab_size: 128 },
    },
    { tokenizer: charTokenizer.files },
  )
  const calibration = join(folder, 'text.txt')
  // one more sequence measures
  await writeFile(
    calibration,
    'the sea and the whale and the boat. '.repeat(1000).slice(0, (count + 1) * length),
  )
  process.env.REALLM_CACHE = join(folder, 'cache')
  const began = coreTime(process.pid)
  let calibrated: CoreTime = began
  await compress(model, {
    ...{ to: join(folder, 'out'), bits: 3, sequential, evaluate: false, calibration },
    ...{ threads: 1, backend: 'wasm' },
    onProgress({ event, done, total }) {
      if (event === 'calibration-end' && done === total) calibrated = coreTime(process.pid)
    },
  })
  const ended = coreTime(process.pid)
  await rm(folder, { recursive: true, force: true })
  return { calibrate: between(began, calibrated).ran, quantise: between(calibrated, ended).ran }
}
