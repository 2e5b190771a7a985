import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../results/schema.ts'
import { isAllowed, productionDependencies } from './production.ts'

describe('what users install', () => {
  const dependencies = productionDependencies()

  it('has licences that ask for no more than their notice', () => {
    expect(dependencies.map(({ name }) => name)).toContain('hono')
    expect(dependencies.filter(({ license }) => !isAllowed(license))).toEqual([])
  })

  it('runs nothing when it is installed', () => {
    expect(dependencies.filter(({ installs }) => installs.length > 0)).toEqual([])
    for (const name of readdirSync(join(root, 'packages'))) {
      const { scripts } = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'))
      expect(
        Object.keys(scripts ?? {}).filter(script => script.includes('install')),
        name,
      ).toEqual([])
    }
  })
})

it.each([
  ['MIT', true],
  ['(GPL-2.0 OR MIT)', true],
  ['MIT AND CC-BY-3.0', false],
  ['GPL-3.0-only', false],
  ['Unknown', false],
  ['SEE LICENSE IN LICENSE.md', false],
])('the licence %s is allowed: %s', (license, is) => expect(isAllowed(license)).toBe(is))
