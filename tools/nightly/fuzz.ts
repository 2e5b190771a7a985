// usage: npx tsx --conditions=@reallm/source tools/nightly/fuzz.ts [cases=1000000] [seed=1] [kind] [processes] [--record]
// Damaged files of every kind, each in a process per core: prints each kind, and how to repeat what it found. With --record a kind
// of which so many cases were recorded with this code is not done again.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { targets as formats } from '../../packages/tensor-io/test/fuzz/targets.ts'
import { targets } from '../fuzz/targets.ts'
import { packages, recordedHere, recording, startBench } from '../results/record.ts'

const [cases = '1000000', first = '1', only, processes = String(availableParallelism())] =
  process.argv.slice(2)
const seed = Number(first)
const kinds = Object.keys({ ...formats, ...targets })
const wanted = Math.ceil(Number(cases) / kinds.length)

const bench = {
  name: 'fuzz',
  what: 'Damaged files and answers, looked at as a stranger’s: all that may come out is an error of this project that names the file, within two seconds of processor time and twice the file and 16 MB of memory.',
  sources: [
    ...packages('tensor-io', 'kernels', 'transformer', 'runtime', 'pipeline'),
    ...['packages/tensor-io/test/fuzz', 'tools/fuzz'],
  ],
  columns: {
    kind: { label: 'what is damaged' },
    cases: { label: 'cases', unit: 'cases' },
    failures: { label: 'anything else came out', unit: 'cases' },
  },
  key: ['kind'],
  seed,
}
const record = startBench(bench)
const done = recording
  ? recordedHere(bench).filter(row => Number(row.cases) >= wanted && row.failures === 0)
  : []

/** Whether one of so many processes ends well with its share of a kind's cases. */
async function part(kind: string, i: number, of: number): Promise<boolean> {
  const share = Math.floor(wanted / of) + (i < wanted % of ? 1 : 0)
  const script = join(import.meta.dirname, 'fuzz-part.ts')
  const args = [kind, seed + i, of, share].map(String)
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], { stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  return code === 0
}

for (const kind of kinds) {
  if (only !== undefined && only !== kind) continue
  if (done.some(row => row.kind === kind)) continue
  const of = Number(processes)
  const ends = await Promise.all(Array.from({ length: of }, (_, i) => part(kind, i, of)))
  const failures = ends.filter(well => !well).length
  console.log(`${failures > 0 ? 'FAULT' : 'ok'} ${kind}: ${wanted} cases from seed ${seed} on`)
  record([{ kind, cases: wanted, failures }])
  if (failures > 0) process.exitCode = 1
}
