import { writeFileAtomic } from '@reallm/tensor-io'
import { basename, join } from '#platform'
import type { Destination } from './destination.ts'
import { modelCard } from './model-card.ts'
import type { Origin } from './origin.ts'
import type { CompressReport } from './report.ts'
import { reportFiles } from './report-files.ts'
import { reportHtml } from './report-html.ts'
import type { UnpublishedModel } from './target.ts'
import type { TargetName } from './target-name.ts'

/** Adds report, page and (for an artifact) model card, and moves everything to its place. */
export async function publishModel(
  { folder }: UnpublishedModel,
  target: TargetName,
  report: CompressReport,
  origin: Origin,
  destination: Destination,
  run: string,
): Promise<void> {
  const { json, html } = reportFiles(destination.place)
  await writeFileAtomic(join(folder, json), `${JSON.stringify(report, null, 2)}\n`)
  await writeFileAtomic(join(folder, html), reportHtml(report))
  if (target === 'reallm') {
    await writeFileAtomic(join(folder, 'README.md'), modelCard(report, origin, basename(destination.place)))
  }
  await destination.publish(folder, run)
}
