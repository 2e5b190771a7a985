import { createArtifactWriter, type Tensor, writeFileAtomic } from '@reallm/tensor-io'
import { basename, dirname, join, mkdir, rename, resolve, rm } from '#platform'
import { tokenizerFiles } from '../open/tokenizer-files.ts'
import type { Run } from '../run.ts'
import { modelCard } from './model-card.ts'
import type { CompressReport } from './report.ts'
import { reportHtml } from './report-html.ts'

/** An artifact that is complete but for its report, in the work directory. */
export interface Unpublished {
  readonly folder: string
  /** Sum of the weight files. */
  readonly bytes: number
  /** Adds report, page and model card, and moves everything to `to` in one step; what is there is replaced. */
  publish(report: CompressReport, to: string): Promise<void>
}

/** Writes the finished matrices of a run and its plain tensors as an artifact; a shard in memory. */
export async function writeArtifact(
  run: Run,
  plain: Readonly<Record<string, Tensor>>,
  maxShardBytes: number,
): Promise<Unpublished> {
  const folder = join(run.journal.folder, 'artifact')
  await rm(folder, { recursive: true, force: true })
  const small = await tokenizerFiles(run.model)
  const writer = await createArtifactWriter(folder, {
    config: run.config.source,
    filesOf: { files: [...small.keys()], readFile: async name => small.get(name)! },
    maxShardBytes,
  })
  const norms = new Map<string, Tensor>()
  for (let i = 0; i < run.config.layers; i++) {
    for (const [name, norm] of (await run.tuned.read(i))?.norms ?? []) norms.set(name, norm)
  }
  for (const [name, tensor] of Object.entries(plain)) await writer.addTensor(name, norms.get(name) ?? tensor)
  for (const { module } of run.plan.matrices) {
    const encoded = await run.ledger.encoded(module.name)
    const tuned = module.block === undefined ? undefined : await run.tuned.read(module.block)
    const parts = { ...encoded.parts, ...tuned?.parts.get(module.name) }
    await writer.addMatrix(module.name, { ...encoded, parts })
  }
  const { bytes } = await writer.finish()
  return {
    folder,
    bytes,
    async publish(report, to) {
      await writeFileAtomic(join(folder, 'reallm-report.json'), `${JSON.stringify(report, null, 2)}\n`)
      await writeFileAtomic(join(folder, 'reallm-report.html'), reportHtml(report))
      await writeFileAtomic(join(folder, 'README.md'), modelCard(report, basename(resolve(to))))
      await mkdir(dirname(resolve(to)), { recursive: true })
      await rm(to, { recursive: true, force: true })
      await rename(folder, to)
    },
  }
}
