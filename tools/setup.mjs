// Installs and builds what has changed: needs only Node and npm. Does nothing when nothing changed.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamp = join(root, 'node_modules', '.reallm-setup')
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Digest of everything the installation and the build depend on. */
function digest() {
  const hash = createHash('sha256').update(process.version)
  const add = path => {
    if (!existsSync(path)) return
    if (statSync(path).isFile()) hash.update(path.slice(root.length)).update(readFileSync(path))
    else for (const name of readdirSync(path).sort()) if (!name.endsWith('.test.ts')) add(join(path, name))
  }
  for (const name of ['package.json', 'pnpm-lock.yaml', 'tsconfig.base.json']) add(join(root, name))
  for (const name of readdirSync(join(root, 'packages'))) {
    for (const part of ['package.json', 'tsconfig.json', 'src']) add(join(root, 'packages', name, part))
  }
  return hash.digest('hex')
}

function run(what, args) {
  console.log(`reallm: ${what} …`)
  const result = spawnSync('npx', ['--yes', ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
    shell: process.platform === 'win32',
  })
  if (result.status !== 0) {
    console.error(
      `reallm: ${what} failed; the lines above say why. Needs Node >= 20.19 and the npm registry.`,
    )
    process.exit(1)
  }
}

const wanted = digest()
if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  run('installing packages', [packageManager, 'install', '--frozen-lockfile'])
  run('building', ['turbo', 'run', 'build', '--filter=./packages/*', '--output-logs=errors-only'])
  writeFileSync(stamp, wanted)
}
