import { spawnSync } from 'node:child_process'

/** Runs a command to its end and returns what it wrote; `bin` is a folder whose programs are found first. */
export function runWith(bin: string | undefined, cwd: string, command: string, ...args: string[]): string {
  const PATH = [bin, process.env.PATH].filter(Boolean).join(':')
  const options = { cwd, encoding: 'utf8', timeout: 900_000, env: { ...process.env, PATH } } as const
  const { status, stdout, stderr } = spawnSync(command, args, options)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`)
  return stdout
}

/** `runWith` the programs of this process. */
export const run = (cwd: string, command: string, ...args: string[]): string =>
  runWith(undefined, cwd, command, ...args)
