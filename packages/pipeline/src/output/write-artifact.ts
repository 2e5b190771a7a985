import { createArtifactWriter, openModel, writeFileAtomic } from '@reallm/tensor-io'
import { openTokenizer } from '@reallm/transformer'
import { basename, join, rm } from '#platform'
import type { OpenedModel } from '../open/open-model.ts'
import { tokenizerFiles } from '../open/tokenizer-files.ts'
import type { QuantisedModel } from '../quantise/quantised-model.ts'
import { requireSameTokenizers } from './compare-tokenizers.ts'
import type { Destination } from './destination.ts'
import { modelCard } from './model-card.ts'
import type { CompressReport } from './report.ts'
import { reportHtml } from './report-html.ts'

/** An artifact that is complete except for its report, in the work directory. */
export interface UnpublishedArtifact {
  readonly folder: string
  /** Sum of the weight files. */
  readonly bytes: number
}

/** Writes a quantised model and the original's other tensors as an artifact; one shard in memory. */
export async function writeArtifact(
  { weights, config, plain }: OpenedModel,
  quantised: QuantisedModel,
  work: string,
  maxShardBytes: number,
): Promise<UnpublishedArtifact> {
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
  return { folder, bytes }
}

/** Adds report, page and model card, and moves everything to its place. */
export async function publishArtifact(
  { folder }: UnpublishedArtifact,
  report: CompressReport,
  destination: Destination,
  run: string,
): Promise<void> {
  await writeFileAtomic(join(folder, reportFile), `${JSON.stringify(report, null, 2)}\n`)
  await writeFileAtomic(join(folder, 'reallm-report.html'), reportHtml(report))
  await writeFileAtomic(join(folder, 'README.md'), modelCard(report, basename(destination.place)))
  await destination.publish(folder, run)
}

export const reportFile = 'reallm-report.json'
