// usage: npx tsx --conditions=@reallm/source tools/nightly/fuzz.ts [cases=1000000] [seed=1]
// Damaged files of every kind: prints each kind, and how to repeat what it found.
import { targets as formats } from '../../packages/tensor-io/test/fuzz/targets.ts'
import { targets } from '../fuzz/targets.ts'

const [cases = 1_000_000, seed = 1] = process.argv.slice(2).map(Number)
const kinds = Object.entries({ ...formats, ...targets })
/** Cases of a kind at a time: each has a seed of its own, so that what is found is quickly found again. */
const atATime = 1000

for (const [name, check] of kinds) {
  const wanted = Math.ceil(cases / kinds.length)
  let done = 0
  let failed = false
  for (let own = seed; done < wanted && !failed; own++) {
    const numRuns = Math.min(atATime, wanted - done)
    const result = await check(numRuns, own)
    failed = result.failed
    if (failed) console.log(`${name}, ${numRuns} cases of seed ${own}:\n${result.report}`)
    done += numRuns
  }
  console.log(`${failed ? 'FAULT' : 'ok'} ${name}: ${done} cases from seed ${seed} on`)
  if (failed) process.exitCode = 1
}
