import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Tests find no measurements of earlier runs, and leave none. */
export default async function setup() {
  if (process.env.REALLM_CACHE) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'reallm-test-cache-'))
  process.env.REALLM_CACHE = folder
  return () => rm(folder, { recursive: true, force: true })
}
