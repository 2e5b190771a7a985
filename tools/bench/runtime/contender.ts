import { spawn } from 'node:child_process'
import type { Measured, Task } from './task.ts'

/** Runs a contender's script once, with everything it starts, on the Node at `node`. */
export function runContender(name: string, task: Task, node = process.execPath): Promise<Measured> {
  const script = new URL(`${name}.ts`, import.meta.url).pathname
  const child = spawn(node, [...process.execArgv, script, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let [out, errors, late] = ['', '', false]
  // what runs in Chromium gives up by itself a little earlier
  const timer = setTimeout(
    () => {
      late = true
      process.kill(-child.pid!, 'SIGKILL')
    },
    1000 * (task.patience + 20),
  )
  child.stdout.on('data', chunk => {
    out += chunk
  })
  child.stderr.on('data', chunk => {
    errors += chunk
  })
  return new Promise((resolve, reject) => {
    child.on('close', code => {
      clearTimeout(timer)
      const line = out.trim().split('\n').at(-1) ?? ''
      if (code === 0 && line.startsWith('{')) return resolve(JSON.parse(line))
      const why = /\w*Error: .*$/m.exec(errors)?.[0] ?? errors.trim().split('\n').at(-1)
      reject(new Error(late ? `nothing after ${task.patience} s` : (why ?? `it ended with code ${code}`)))
    })
  })
}

const best = (a: number | undefined, b: number | undefined) =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b)

/** The best of two turns. */
export const better = (a: Measured | undefined, b: Measured): Measured => ({
  ...b,
  prompt: best(a?.prompt, b.prompt)!,
  decode: best(a?.decode, b.decode)!,
  promptCpu: best(a?.promptCpu, b.promptCpu),
  decodeCpu: best(a?.decodeCpu, b.decodeCpu),
})
