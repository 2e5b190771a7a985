import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url))
const killer = new URL('kill-after-rename.mjs', import.meta.url).href

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

/** Runs the built command line in a process of its own, which ends after the rename whose target matches `kill`, unless that is empty. */
export async function killedCli(args: readonly string[], kill: string, more = {}): Promise<Ended> {
  const env = { ...process.env, ...more, KILL: kill }
  const child = spawn(process.execPath, ['--import', killer, cli, ...args], { env })
  let [out, err] = ['', '']
  child.stdout.on('data', chunk => void (out += chunk))
  child.stderr.on('data', chunk => void (err += chunk))
  const [code, signal] = await once(child, 'close')
  return { code, signal, out, err }
}
