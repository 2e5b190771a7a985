/**
 * What a release's tarballs do in fresh projects: installed by npm on each Node, imported, run, their types found, bundled.
 *
 *   npx tsx --conditions=@reallm/source tools/release/installs.ts [--node PROGRAM,…] [--record]
 *
 * Without --node, Node 20, 22 and 24 are installed from the npm package `node`.
 */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { startBench } from '../results/record.ts'
import { bundlers, shaken } from './install/bundlers.ts'
import { lintedBy, wrongTypes } from './install/check-tarballs.ts'
import { checkTypes, resolutions } from './install/check-types.ts'
import { entriesOf, packAll, published } from './install/packages.ts'
import { run, runWith } from './install/run.ts'

const { values } = parseArgs({ options: { node: { type: 'string' } } })
const finish = startBench({
  name: 'installs',
  what: 'The packed packages in fresh projects: ES modules, installed by npm from their tarballs.',
  sources: published.flatMap(name => [`packages/${name}/src`, `packages/${name}/package.json`]),
  columns: {
    check: { label: 'check' },
    on: { label: 'on' },
    found: { label: 'result' },
    one: { label: '`{ grid }` of `@reallm/vq`, kB', unit: 'bytes', scale: 1e-3, digits: 1 },
    whole: { label: 'all of it, kB', unit: 'bytes', scale: 1e-3, digits: 1 },
  },
  key: ['check', 'on'],
  seed: null,
})

const work = realpathSync(mkdtempSync(join(tmpdir(), 'reallm-installs-')))
const rows: { check: string; on: string; found?: string; one?: number; whole?: number }[] = []
try {
  const tarballs = packAll(join(work, 'tarballs'))
  const projects = nodes().map(program => projectOn(program, tarballs))
  const [project] = projects
  for (const [title, problems] of [
    ['publint', await lintedBy(project)],
    ['Are the types wrong?', await wrongTypes(tarballs)],
  ] as const) {
    if (problems.length > 0) throw new Error(`${title}:\n${problems.join('\n')}`)
    rows.push({ check: title, on: `${tarballs.length} tarballs`, found: 'nothing to say' })
  }
  run(project, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', 'vite@8')
  for (const name of Object.keys(bundlers)) {
    const { one, whole } = await shaken(project, name)
    if (one > whole / 2) throw new Error(`${name} leaves in what is not used: ${one} bytes of ${whole}`)
    rows.push({ check: 'bundled for a page', on: name, one, whole })
  }
  finish(rows)
} finally {
  rmSync(work, { recursive: true, force: true })
}

/** Programs of the Nodes to try. */
function nodes(): string[] {
  if (values.node) return values.node.split(',')
  return ['20', '22', '24'].map(version => {
    const folder = join(work, `node-${version}`)
    mkdirSync(folder)
    run(folder, 'npm', 'install', '--prefix', folder, '--no-audit', '--no-fund', `node@${version}`)
    return join(folder, 'node_modules', 'node', 'bin', 'node')
  })
}

/** A fresh project of one Node in which everything was checked that depends on it. */
function projectOn(program: string, tarballs: readonly string[]): string {
  const bin = dirname(program)
  const version = runWith(bin, work, 'node', '--version').trim()
  const on = `Node ${version.slice(1)}`
  const project = join(work, `on-${version}`)
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }')
  const call = (command: string, ...args: string[]) => runWith(bin, project, command, ...args)
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--engine-strict']
  call('npm', 'install', ...quiet, ...tarballs)
  const entries = entriesOf(project)
  writeFileSync(join(project, 'every.mjs'), entries.map(entry => `await import('${entry}')\n`).join(''))
  call('node', 'every.mjs')
  rows.push({ check: 'installed and imported', on, found: `${entries.length} entry points` })
  const options = ['--prompt', 'The whale', '--tokens', '8']
  const written = call('npx', 'reallm', 'generate', 'npm:@reallm/tiny', ...options)
  if (written.trim().length < 10) throw new Error(`${on} writes ${JSON.stringify(written)}`)
  rows.push({ check: 'the command line writes with the embedded model', on, found: 'yes' })
  for (const resolution of resolutions) {
    checkTypes(project, resolution, bin)
    rows.push({ check: `types, resolution \`${resolution[1]}\``, on, found: 'found' })
  }
  return project
}
