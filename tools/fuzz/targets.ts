import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { serialize } from 'node:v8'
import fc from 'fast-check'
import { answerOf } from '../../packages/pipeline/src/encoder/answer.ts'
import type { EncodeJob } from '../../packages/pipeline/src/encoder/encode-job.ts'
import { answerBytes, resultsFrom } from '../../packages/pipeline/src/encoder/queue/answer-of-job.ts'
import { runJob } from '../../packages/pipeline/src/encoder/run-job.ts'
import { builtInRecipe, builtInRegistry } from '../../packages/pipeline/src/index.ts'
import { load } from '../../packages/runtime/src/index.ts'
import { bytesSource, matrix, openFiles, random } from '../../packages/tensor-io/src/index.ts'
import {
  bytesDamage,
  damagedBytes,
  damagedJson,
  jsonDamage,
} from '../../packages/tensor-io/test/fuzz/damage.ts'
import { type Check, target } from '../../packages/tensor-io/test/fuzz/target.ts'

const folder = join(import.meta.dirname, '../../packages/reallm/test/fixtures/artifact-v1')
const names = ['config.json', 'model.safetensors.index.json', 'model.safetensors']
const files = Object.fromEntries(
  names.map(name => [name, new Uint8Array(readFileSync(join(folder, name)))] as const),
)
const bytes = Object.values(files).reduce((sum, file) => sum + file.length, 0)
const jsonOf = (name: string) => JSON.parse(new TextDecoder().decode(files[name])) as object
const registry = builtInRegistry()

/** The golden artifact, which has a matrix of every codec, with one of its files damaged. */
const artifactDamage = fc.oneof(
  fc.record({ name: fc.constantFrom(...names.slice(0, 2)), json: jsonDamage }),
  fc.record({ name: fc.constantFrom(...names), bytes: bytesDamage }),
)
type ArtifactDamage = typeof artifactDamage extends fc.Arbitrary<infer T> ? T : never

function damaged(damage: ArtifactDamage) {
  const file =
    'json' in damage
      ? new TextEncoder().encode(JSON.stringify(damagedJson(jsonOf(damage.name), damage.json)))
      : damagedBytes(files[damage.name], damage.bytes)
  return names.map(name => ({
    name,
    source: bytesSource(name, name === damage.name ? file : files[name]),
  }))
}

const { normal } = random(2)
const job: EncodeJob = {
  recipe: 'gptq',
  module: { name: 'm', kind: 'up_proj', shape: [32, 48], layer: 0 },
  effort: 'fast',
  configurations: [{ id: 'grid-3b' }],
  w: matrix(Float32Array.from({ length: 32 * 48 }, normal), [32, 48]),
  seed: 1,
}
const answer = await answerOf(() => runJob(builtInRecipe('gptq'), job))
const answered = new Uint8Array(answerBytes(answer))

/** What strangers send to the runtime, to codecs, and to the machine that waits for matrices, by kind. */
export const targets: Readonly<Record<string, Check>> = {
  artifact: target({ bytes, names: /the files|\.json|safetensors/ }, artifactDamage, async damage => {
    const opened = await openFiles(damaged(damage), { registry })
    for (const name of opened.tensors.keys()) await opened.readFloat32(name)
  }),
  'artifact, loaded to run': target(
    // an engine's memory is counted too: as much as for the undamaged artifact
    { bytes: bytes + 2 ** 26, names: /the files|\.json|safetensors|^model\./ },
    artifactDamage,
    async damage => {
      const opened = await openFiles(damaged(damage), { registry })
      const model = await load(opened, { tokenizer: false, registry })
      model.dispose()
    },
  ),
  'queue answer': target({ bytes: answered.length, names: /m\.answer/ }, bytesDamage, damage => {
    resultsFrom('m.answer', damagedBytes(answered, damage), job)
  }),
  'queue answer of odd values': target(
    { bytes: answered.length, names: /m\.answer|^./ },
    jsonDamage,
    damage => {
      resultsFrom('m.answer', serialize(damagedJson({ ...answer }, damage)), job)
    },
  ),
}
