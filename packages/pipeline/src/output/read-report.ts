import { join, readFile } from '#platform'
import type { CompressReport } from './report.ts'
import { reportFile } from './write-artifact.ts'

/** The report of a published artifact. */
export async function readReport(folder: string): Promise<CompressReport> {
  return JSON.parse(await readFile(join(folder, reportFile), 'utf8')) as CompressReport
}
