// usage: npx tsx --conditions=@reallm/source tools/nightly/fuzz-part.ts kind seed step cases
// One of several processes of fuzz.ts: a kind's cases, a thousand of each of the seeds seed, seed + step, … Says how to repeat what
// it finds, and fails then.
import { targets as formats } from '../../packages/tensor-io/test/fuzz/targets.ts'
import { targets } from '../fuzz/targets.ts'

const [kind, seed, step, cases] = process.argv.slice(2)
const check = { ...formats, ...targets }[kind]
/** Cases of a seed: few, so that what is found is quickly found again. */
const atATime = 1000

for (let done = 0, own = Number(seed); done < Number(cases); done += atATime, own += Number(step)) {
  const numRuns = Math.min(atATime, Number(cases) - done)
  const { failed, report } = await check(numRuns, own)
  if (!failed) continue
  console.log(`${kind}, ${numRuns} cases of seed ${own}:\n${report}`)
  process.exit(1)
}
