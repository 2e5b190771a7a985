import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { allFamilies } from '../../packages/tensor-io/src/models/families/index.ts'
import { fixture } from '../../packages/testing/src/fixture.ts'
import { goldenTests } from '../../packages/testing/src/golden-models.ts'
import { rowsTable } from './table.ts'

const kinds = Object.entries(goldenTests)
const families = await allFamilies()

/** Every family with what sets it apart, and a mark for each kind of test that goes through a golden model of it. */
export function familiesTable(): string {
  const columns = {
    models: { label: 'models' },
    type: { label: '`model_type`' },
    architecture: { label: 'GGUF architecture' },
    differs: { label: 'beside a Llama layer' },
    ...Object.fromEntries(kinds.map(([kind]) => [kind, { label: labels[kind] ?? kind }])),
  }
  const rows = families.map(({ models, modelType, gguf, differs }) => ({
    ...{ models, type: `\`${modelType}\``, architecture: `\`${gguf.architecture}\``, differs },
    ...Object.fromEntries(kinds.map(([kind, names]) => [kind, names.some(ofType(modelType)) ? '✓' : ''])),
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
