import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm')).href
const killer = new URL('kill-after-rename.mjs', import.meta.url).href

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

/** Runs a command line in a process of its own, which ends after the rename whose target matches `kill`, unless that is empty. */
export async function killedCli(args: readonly string[], kill: string, more = {}): Promise<Ended> {
  const flags = ['--conditions=@reallm/source', '--import', tsx, '--import', killer]
  const env = { ...process.env, ...more, KILL: kill }
  const child = spawn(process.execPath, [...flags, cli, ...args], { env })
  let [out, err] = ['', '']
  child.stdout.on('data', chunk => void (out += chunk))
  child.stderr.on('data', chunk => void (err += chunk))
  const [code, signal] = await once(child, 'close')
  return { code, signal, out, err }
}
