import { serveWorker } from '../worker/serve.ts'
import { executable } from './executable.ts'
import { formatted } from './format.ts'

/** The packages, each fetched when an example imports it. */
const packages: Record<string, () => Promise<object>> = {
  '@reallm/autoencoder': () => import('@reallm/autoencoder'),
  '@reallm/eval': () => import('@reallm/eval'),
  '@reallm/finetune': () => import('@reallm/finetune'),
  '@reallm/kernels': () => import('@reallm/kernels'),
  '@reallm/lowrank': () => import('@reallm/lowrank'),
  '@reallm/pipeline': () => import('./pipeline.ts'),
  '@reallm/runtime': () => import('@reallm/runtime'),
  '@reallm/tensor-io': () => import('@reallm/tensor-io'),
  '@reallm/transformer': () => import('@reallm/transformer'),
  '@reallm/vq': () => import('@reallm/vq'),
  reallm: () => import('./reallm.ts'),
}

const load = (name: string) => {
  const found = packages[name]
  if (!found) throw new Error(`this page has no package ${name}; it has ${Object.keys(packages).join(', ')}`)
  return found()
}

const methods = {
  /** Runs a module; what it logs is sent as text. */
  async run(code: string, { emit }: { emit(text: string): void }): Promise<void> {
    const log = (...values: unknown[]) => emit(values.map(formatted).join(' '))
    await executable(code)(load, { log, table: log, warn: log, error: log, info: log })
  },
}
export type LiveMethods = typeof methods

serveWorker(methods)
