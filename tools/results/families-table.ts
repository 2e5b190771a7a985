import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { allFamilies } from '../../packages/tensor-io/src/models/families/index.ts'
import { fixture } from '../../packages/testing/src/fixture.ts'
import { goldenTests } from '../../packages/testing/src/golden-models.ts'
import { rowsTable } from './table.ts'

const kinds = Object.entries(goldenTests)
const families = await allFamilies()

/** Every family with what sets it apart, and the kinds of tests that go through no golden model of it. */
export function familiesTable(): string {
  const columns = {
    models: { label: 'models' },
    type: { label: '`model_type`' },
    architecture: { label: 'GGUF architecture' },
    differs: { label: 'beside a Llama layer' },
    untested: { label: 'not tested' },
  }
  const rows = families.map(({ models, modelType, gguf, differs }) => ({
    ...{ models, type: `\`${modelType}\``, architecture: `\`${gguf.architecture}\``, differs },
    untested: kinds
      .filter(([, names]) => !names.some(ofType(modelType)))
      .map(([kind]) => labels[kind] ?? kind)
      .join(', '),
  }))
  return rowsTable(columns, rows)
}

const labels: Readonly<Record<string, string>> = { huggingface: 'HF', gguf: 'GGUF', gradients: 'gradient' }

/** Whether a golden model is of a family. */
const ofType =
  (modelType: string) =>
  (name: string): boolean =>
    modelTypeOf(name) === modelType

const modelTypes = new Map<string, unknown>()

function modelTypeOf(name: string): unknown {
  if (!modelTypes.has(name)) {
    const config = JSON.parse(readFileSync(join(fixture(`models/${name}`), 'config.json'), 'utf8'))
    modelTypes.set(name, config.model_type)
  }
  return modelTypes.get(name)
}
