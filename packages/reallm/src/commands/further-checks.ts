import type { GenerationCheck, LayerError } from '@reallm/eval'
import type { OpenedEvaluation } from '@reallm/pipeline'
import { type LongWork, ReallmError } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/transformer'

interface Options extends LongWork {
  readonly layers?: boolean | undefined
  readonly generation?: boolean | undefined
  readonly tokenizer?: TextTokenizer | undefined
}

type Tokens = readonly number[] | readonly (readonly number[])[]

/** Windows that tell enough of a layer, and texts that are continued, each after so many tokens. */
const sizes = { windows: 4, prompts: 8, prompt: 32 }

/** What `reallm eval` measures besides predictions: layer by layer, and written text. */
export async function furtherChecks(
  [model, against]: readonly OpenedEvaluation[],
  tokens: Tokens,
  { layers, generation, tokenizer, ...work }: Options,
): Promise<{
  layers?: LayerError[] | undefined
  generation?: (GenerationCheck & { texts?: string[] | undefined }) | undefined
}> {
  return {
    layers: layers && against ? await layersOf(model, against, tokens, work) : undefined,
    generation: generation ? await generationOf(model, against, tokens, work, tokenizer) : undefined,
  }
}

async function layersOf(
  model: OpenedEvaluation,
  against: OpenedEvaluation,
  tokens: Tokens,
  work: LongWork,
): Promise<LayerError[]> {
  const { layerErrors } = await import('@reallm/eval/layers')
  const { streamed, useBackend } = await import('@reallm/transformer')
  await useBackend()
  const { windows } = sizes
  return layerErrors(streamed(model.weights), streamed(against.weights), tokens, { ...work, windows })
}

async function generationOf(
  { running }: OpenedEvaluation,
  against: OpenedEvaluation | undefined,
  tokens: Tokens,
  work: LongWork,
  tokenizer: TextTokenizer | undefined,
): Promise<GenerationCheck & { texts?: string[] | undefined }> {
  if (!running) {
    throw new ReallmError('bad-option', '--generation needs a model that the runtime runs', {
      hint: 'give --device wasm or webgpu',
    })
  }
  const { checkGeneration, windowsOf } = await import('@reallm/eval')
  const windows = windowsOf(tokens, { windows: sizes.prompts })
  const prompts = windows.map(({ ids }) => ids.slice(0, Math.min(sizes.prompt, Math.ceil(ids.length / 2))))
  const found = await checkGeneration(running, prompts, { ...work, against: against?.running })
  return { ...found, texts: tokenizer && found.continuations.map(ids => tokenizer.decode(ids)) }
}
