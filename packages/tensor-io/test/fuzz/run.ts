// usage: npx tsx packages/tensor-io/test/fuzz/run.ts [cases] [seed]
// Damaged files of every kind, for a night: prints each kind, and how to repeat what it found.
import { targets } from './targets.ts'

const [cases = 1_000_000, seed = 1] = process.argv.slice(2).map(Number)
const kinds = Object.entries(targets)
for (const [name, check] of kinds) {
  const numRuns = Math.ceil(cases / kinds.length)
  const { failed, report } = await check(numRuns, seed)
  console.log(`${name}: ${numRuns} cases, ${failed ? 'FAILED' : 'ok'}, seed ${seed}`)
  if (!failed) continue
  console.log(report)
  process.exitCode = 1
}
