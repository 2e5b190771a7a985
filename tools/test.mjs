// Runs lint, types, the checks of imports and exports, and every test; the last line is `N passed, N failed` of the whole run.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const folder = mkdtempSync(join(tmpdir(), 'reallm-test-'))
const results = join(folder, 'vitest.json')
const run = (command, args) =>
  spawnSync('npx', [command, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  }).status === 0

let passed = 0
let failed = 0
for (const [command, ...args] of [
  ['biome', 'check', '.'],
  ['tsc', '--noEmit', '-p', 'tsconfig.json'],
  ['depcruise', 'packages', 'tools', 'docs'],
  ['knip'],
]) {
  console.log(`\n> ${command} ${args.join(' ')}`)
  if (run(command, args)) passed++
  else failed++
}

const filters = process.argv.slice(2)
const green = run('vitest', [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${results}`,
  ...filters,
])
try {
  const report = JSON.parse(readFileSync(results, 'utf8'))
  passed += report.numPassedTests
  failed += report.numFailedTests
  // A file that cannot be loaded fails without a failed test.
  if (!green && report.numFailedTests === 0) failed++
} catch {
  failed++
}
rmSync(folder, { recursive: true, force: true })
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
