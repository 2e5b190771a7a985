import { builtInRegistry } from '@reallm/pipeline'
import type { OnProgress } from '@reallm/tensor-io'
import { adapted, type ModelWeights, openWeights, readAdapter } from '@reallm/transformer'

/** Opens any model, compressed or not, with an adapter merged into what is read. */
export async function openAny(
  spec: string,
  { adapter, onProgress }: { readonly adapter?: string | undefined; readonly onProgress: OnProgress },
): Promise<ModelWeights> {
  const model = await openWeights(spec, { registry: builtInRegistry(), onProgress })
  if (adapter === undefined) return model
  try {
    return adapted(model, await readAdapter(adapter))
  } catch (error) {
    await model.close()
    throw error
  }
}
