import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Chromium's software adapter, for tests of WebGPU where there is no GPU: the loader looks at these when a process starts. */
const swiftshader = '/usr/lib/chromium'
if (!process.env.VK_ICD_FILENAMES && existsSync(`${swiftshader}/vk_swiftshader_icd.json`)) {
  process.env.VK_ICD_FILENAMES = `${swiftshader}/vk_swiftshader_icd.json`
  process.env.LD_LIBRARY_PATH = [swiftshader, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':')
}

const conditions = ['@reallm/source', 'node', 'import', 'default']

/** Slow files first: begun last, one of them would keep a worker busy alone. */
class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const rank = ({ moduleId }: TestSpecification) =>
      [/webgpu-\w+\.slow\.test\.ts$/, /\.slow\.test\.ts$|docs\/test\//, /./].findIndex(of =>
        of.test(moduleId),
      )
    return sorted.sort((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/src/**/*.test.ts', 'tools/**/*.test.ts', 'docs/test/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: SlowFirst },
    globalSetup: 'tools/test-cache.ts',
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
