import { createArtifactWriter, openModel } from '@reallm/tensor-io'
import { openTokenizer } from '@reallm/transformer'
import { join, rm } from '#platform'
import type { OpenedModel } from '../open/open-model.ts'
import { tokenizerFiles } from '../open/tokenizer-files.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import { requireSameTokenizers } from './compare-tokenizers.ts'
import type { UnpublishedModel } from './target.ts'

/** Writes a quantised model and the original's other tensors as an artifact; one shard in memory. */
export async function writeArtifact(
  { weights, config, plain }: OpenedModel,
  quantised: QuantisedModel,
  work: string,
  maxShardBytes: number,
): Promise<UnpublishedModel> {
  const folder = join(work, 'artifact')
  await rm(folder, { recursive: true, force: true })
  const small = await tokenizerFiles(weights)
  const writer = await createArtifactWriter(folder, {
    config: config.source,
    filesOf: { files: [...small.keys()], readFile: async name => small.get(name)! },
    maxShardBytes,
  })
  const norms = await quantised.norms()
  for (const [name, tensor] of Object.entries(plain)) await writer.addTensor(name, norms.get(name) ?? tensor)
  for (const module of quantised.modules) await writer.addMatrix(module.name, await quantised.matrix(module))
  const { bytes } = await writer.finish()
  const written = await openModel(folder, { verify: false })
  const tokenizer = () => openTokenizer(written)
  await requireSameTokenizers(weights, { tokenizer }, 'the artifact', config.vocabSize)
  await written.close()
  return { folder, path: folder, bytes }
}
