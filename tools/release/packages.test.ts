import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../results/schema.ts'

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly private?: boolean
  readonly license: string
  readonly keywords?: readonly string[]
  readonly homepage?: string
  readonly bugs?: string
  readonly repository?: { readonly type: string; readonly url: string; readonly directory?: string }
  readonly files?: readonly string[]
}
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const manifest = (path: string): Manifest => JSON.parse(read(path))

/** The one place that says where the repository is; everything else follows it. */
const address = manifest('package.json').repository!.url.replace(/^git\+(.*)\.git$/, '$1')
const packages = readdirSync(join(root, 'packages'))
  .map(folder => ({ folder, ...manifest(`packages/${folder}/package.json`) }))
  .filter(({ private: isPrivate }) => !isPrivate)

describe('package pages', () => {
  it.each(packages)('$name says where it comes from', ({ folder, homepage, bugs, repository, keywords }) => {
    expect(repository).toEqual({
      ...{ type: 'git', url: `git+${address}.git`, directory: `packages/${folder}` },
    })
    expect(homepage).toBe(`${address}/tree/main/packages/${folder}#readme`)
    expect(bugs).toBe(`${address}/issues`)
    expect(keywords!.length).toBeGreaterThan(3)
    expect(new Set(keywords).size).toBe(keywords!.length)
  })

  it.each(packages)('links of $name work outside of the repository', ({ folder }) => {
    const text = read(`packages/${folder}/README.md`)
    for (const [, link] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      expect(link, folder).toMatch(/^(https:\/\/|#)/)
      const own = link.startsWith(`${address}/`) && /\/(?:tree|blob)\/main\/([^#]+)/.exec(link)?.[1]
      if (own) expect(existsSync(join(root, own)), link).toBe(true)
    }
  })

  it('describe the whole alike', () => {
    const what = 'Compress, adapt and run language models at 2–4 bits per weight'
    expect(manifest('packages/reallm/package.json').description).toBe(what)
    expect(manifest('package.json').description).toBe(what)
    expect(read('README.md')).toContain(what)
  })
})

describe('a release', () => {
  it('has one version, and a changelog for each package that tells of it', () => {
    expect(new Set(packages.map(({ version }) => version)).size).toBe(1)
    for (const { name, folder, version, files } of packages) {
      const changelog = read(`packages/${folder}/CHANGELOG.md`)
      expect(changelog, name).toContain(`# Changelog of ${name}`)
      expect(changelog, name).toContain(`\n## ${version}\n`)
      expect(changelog, name).toContain('### What is new')
      expect(changelog, name).toContain('### What breaks, and how to move')
      expect(files, name).toContain('CHANGELOG.md')
    }
  })

  it('is published with provenance, from a workflow that tests first', () => {
    const workflow = read('.github/workflows/release.yml')
    expect(workflow).toContain('id-token: write')
    expect(workflow).toContain('NPM_CONFIG_PROVENANCE: true')
    expect(workflow.indexOf('npm test')).toBeGreaterThan(0)
    expect(workflow.indexOf('npm test')).toBeLessThan(workflow.indexOf('changeset publish'))
  })
})

/** Commands and files that a document names exist. */
describe('what contributors read', () => {
  it.each([
    'CONTRIBUTING.md',
    'CODE_OF_CONDUCT.md',
    'SECURITY.md',
    'docs/guides/runtimes.md',
    'docs/guides/licences.md',
  ])('%s names files and commands that exist', document => {
    const text = read(document)
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    for (const [, script] of text.matchAll(/npm run ([\w:]+)/g))
      expect(scripts, document).toHaveProperty(script)
    for (const [, link] of text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      if (/^(https?|mailto):/.test(link)) continue
      const there = join(root, dirname(document), link)
      expect(existsSync(there) || existsSync(`${there}.md`), `${document}: ${link}`).toBe(true)
    }
  })
})
