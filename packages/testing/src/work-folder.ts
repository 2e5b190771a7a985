import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, vi } from 'vitest'

/** A folder for a file of tests, removed after them. Measurements are kept in it meanwhile (`REALLM_CACHE`). */
export function workFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'reallm-test-'))
  vi.stubEnv('REALLM_CACHE', join(folder, 'cache'))
  afterAll(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}
