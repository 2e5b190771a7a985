// usage: npx tsx --conditions=@reallm/source tools/nightly/fuzz.ts [cases=1000000] [seed=1] [kind] [--record]
// Damaged files of every kind: prints each kind, and how to repeat what it found. With --record a kind of which so many cases
// were recorded with this code is not done again.
import { targets as formats } from '../../packages/tensor-io/test/fuzz/targets.ts'
import { targets } from '../fuzz/targets.ts'
import { packages, recordedHere, recording, startBench } from '../results/record.ts'

const [cases = '1000000', first = '1', only] = process.argv.slice(2)
const seed = Number(first)
const kinds = Object.entries({ ...formats, ...targets })
/** Cases of a kind at a time: each has a seed of its own, so that what is found is quickly found again. */
const atATime = 1000
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

for (const [kind, check] of kinds) {
  if (only !== undefined && only !== kind) continue
  if (done.some(row => row.kind === kind)) continue
  let count = 0
  let failed = false
  for (let own = seed; count < wanted && !failed; own++) {
    const numRuns = Math.min(atATime, wanted - count)
    const result = await check(numRuns, own)
    failed = result.failed
    if (failed) console.log(`${kind}, ${numRuns} cases of seed ${own}:\n${result.report}`)
    count += numRuns
  }
  console.log(`${failed ? 'FAULT' : 'ok'} ${kind}: ${count} cases from seed ${seed} on`)
  record([{ kind, cases: count, failures: failed ? 1 : 0 }])
  if (failed) process.exitCode = 1
}
