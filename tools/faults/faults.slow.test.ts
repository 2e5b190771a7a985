import { rm } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { afterFaults, untouched } from './check.ts'
import { commands, faultFolder } from './commands.ts'

let at: Awaited<ReturnType<typeof faultFolder>>
beforeAll(async () => {
  at = await faultFolder()
})
afterAll(() => rm(at.folder, { recursive: true, force: true }))

test.each(commands)(
  '$name: a fault leaves no half of a result, and none stays',
  {
    timeout: 300_000,
  },
  async command => {
    const wanted = await untouched(at, command)
    const change = (part: number) => Math.max(1, Math.round(part * wanted.changes))
    for (const faults of [
      [`kill@${change(0.4)}`, `kill@${change(0.2)}`],
      [`kill@${wanted.changes - 2}`],
      [`kill@${wanted.changes}`],
      ['kill@2', 'kill@4'],
      [`changed@${change(0.5)}`],
      [`full@${change(0.6)}`],
      [`gone@${change(0.7)}`],
      ['read-only@1'],
    ]) {
      const { end, why } = await afterFaults(at, command, wanted, faults)
      expect(end, why).not.toBe('wrong')
    }
  },
)
