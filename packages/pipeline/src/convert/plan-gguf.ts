import { type GgufValue, type LongWork, type PlannedGgufTensors, ReallmError, warn } from '@reallm/tensor-io'
import {
  configFromGguf,
  configToGguf,
  endIdsOfGguf,
  ggufTensors,
  type RopeTensors,
  storedParts,
} from '@reallm/tensor-io/gguf'
import {
  type ModelWeights,
  otherTensors,
  parseConfig,
  type TransformerConfig,
} from '@reallm/tensor-io/models'
import {
  createTokenizer,
  type TextTokenizer,
  tokenizerFromGguf,
  tokenizerToGguf,
} from '@reallm/tensor-io/tokenizer'
import { tokenizerOf } from '../open/tokenizer-files.ts'
import { requireSameTokenizer } from '../output/compare-tokenizers.ts'
import { requireSameConfig } from './compare-configs.ts'

/** A GGUF file that is known to say what a model says, before it is written. */
export interface GgufPlan {
  readonly metadata: Readonly<Record<string, GgufValue>>
  readonly tensors: PlannedGgufTensors
  /** Contents of the tensors that say the rope, part of `tensors`. */
  readonly ropeTensors: RopeTensors
}

/** What a file's tensors are stored as. */
export interface GgufTypes {
  /** The type of a tensor, by its name in Hugging Face's models. */
  readonly typeOf: (tensor: string, shape: readonly number[]) => string
  /** llama.cpp's number for the type of most weights. */
  readonly fileType: number
}

/**
 * Plans the GGUF file of a model, and reads the plan as if it had been written.
 *
 * @throws `unsupported` naming what GGUF cannot hold
 */
export async function planGguf(
  model: ModelWeights,
  { typeOf, fileType }: GgufTypes,
  work: LongWork,
): Promise<GgufPlan> {
  const { config } = model
  const { metadata: own, ropeTensors, requireTensor } = configToGguf(config)
  const tokenizer = await tokenizerOf(model)
  if (!tokenizer) refuseOtherTokenizers(model, work)
  const metadata: Record<string, GgufValue> = {
    ...own,
    'general.file_type': { type: 'uint32', value: fileType },
    'general.quantization_version': { type: 'uint32', value: 2 },
    ...(tokenizer ? withTokenizer(tokenizer, config) : withoutTokenizer(config)),
  }
  const stored = ggufTensors(config)
  const tensors: Record<string, PlannedGgufTensors[string]> = {}
  const exact = new Set(config.layerSpecs.flatMap(spec => [...otherTensors(spec).keys()]))
  for (const [tensor, shape] of model.shapes) {
    // llama.cpp computes routers and convolutions in F32.
    const type = exact.has(tensor) ? 'F32' : typeOf(tensor, shape)
    for (const part of storedParts(stored.get(tensor)!, shape)) {
      requireTensor(part.name)
      tensors[part.name] = { type, shape: part.shape }
    }
  }
  for (const [name, { length }] of Object.entries(ropeTensors))
    tensors[name] = { type: 'F32', shape: [length] }
  const plan = { metadata, tensors, ropeTensors }
  await requireHeld(config, tokenizer, plan)
  return plan
}

/** What a plan's metadata read as. */
export const valuesOf = ({ metadata }: GgufPlan): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(metadata).map(([key, { type, value }]) => [
      key,
      type === 'float32' && typeof value === 'number' ? Math.fround(value) : value,
    ]),
  )

/** llama.cpp takes an arbitrary token for BOS where none is said, so that the configuration's is better. */
const withTokenizer = (tokenizer: TextTokenizer, { vocabSize, bos }: TransformerConfig) => ({
  ...tokenIds({ bos }),
  ...tokenizerToGguf(tokenizer, vocabSize),
})

/** llama.cpp loads a model without a tokenizer when the file says that there is none. */
const withoutTokenizer = ({ bos, eos: [eos, eot, eom] }: TransformerConfig): Record<string, GgufValue> => ({
  'tokenizer.ggml.model': { type: 'string', value: 'none' },
  ...tokenIds({ bos, eos, eot, eom }),
})

const tokenIds = (ids: Readonly<Record<string, number | undefined>>): Record<string, GgufValue> =>
  Object.fromEntries(
    Object.entries(ids).flatMap(([name, value]) =>
      value === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, { type: 'uint32', value }]],
    ),
  )

/** Tokenizers in forms that are not read. */
const otherTokenizers = ['tokenizer.model', 'spiece.model', 'tekken.json', 'vocab.json', 'vocab.txt']

function refuseOtherTokenizers({ files }: ModelWeights, work: LongWork): void {
  const other = otherTokenizers.find(name => files.files.includes(name))
  if (other === undefined) {
    warn(work, `${files.spec}: it has no tokenizer; the GGUF will have none`)
    return
  }
  throw new ReallmError('unsupported', `${files.spec}: its tokenizer is in ${other}, which is not read`, {
    hint: 'put its tokenizer.json there: AutoTokenizer.from_pretrained(…).save_pretrained(…) in Python writes one',
  })
}

async function requireHeld(
  config: TransformerConfig,
  tokenizer: TextTokenizer | undefined,
  plan: GgufPlan,
): Promise<void> {
  const values = valuesOf(plan)
  const tensors = new Map(Object.entries(plan.tensors))
  const found = await parseConfig(await configFromGguf(values, tensors, plan.ropeTensors))
  requireSameConfig(config, found, 'GGUF')
  if (tokenizer) {
    const read = createTokenizer(tokenizerFromGguf(values), endIdsOfGguf(values))
    requireSameTokenizer(tokenizer, read, 'GGUF', config.vocabSize)
    return
  }
  const [wanted, got] = [config, found].map(({ bos, eos }) => JSON.stringify({ bos, eos }))
  if (wanted === got) return
  throw new ReallmError(
    'unsupported',
    `GGUF cannot hold how texts begin and end: ${wanted}, it would be ${got}`,
    {
      hint: 'convert to safetensors instead',
    },
  )
}
