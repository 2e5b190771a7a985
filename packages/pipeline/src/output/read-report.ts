import { dirname, join, readFile } from '#platform'
import type { CompressReport } from './report.ts'
import { reportFiles } from './report-files.ts'

/** The report of a published model, a directory or a file. */
export async function readReport(place: string): Promise<CompressReport> {
  const folder = place.endsWith('.gguf') ? dirname(place) : place
  return JSON.parse(await readFile(join(folder, reportFiles(place).json), 'utf8')) as CompressReport
}
