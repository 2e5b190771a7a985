import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { openModel, writeSafetensors } from '@reallm/tensor-io'
import { unzipSync } from 'fflate'
import type { Page, Response } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { chromiumPath, openSite, type TestedSite } from './site.ts'

vi.setConfig({ testTimeout: 240_000 })

const eventually = <T>(what: () => T) => expect.poll(what, { timeout: 60_000 })

const tiny = join(import.meta.dirname, '..', '..', 'packages', 'tiny', 'model')

describe.skipIf(!chromiumPath)('the site in Chromium', () => {
  let site: TestedSite
  let folder: string
  const complaints: string[] = []
  const pages: Page[] = []

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reallm-site-'))
    site = await openSite()
  }, 600_000)
  afterAll(async () => {
    await site?.close()
    await rm(folder, { recursive: true, force: true })
  })
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.close()
    expect(complaints.splice(0)).toEqual([])
  })

  async function open(path: string, options: { isolated?: boolean; width?: number } = {}): Promise<Page> {
    const { isolated = true, width = 1200 } = options
    const page = await site.browser.newPage({ viewport: { width, height: 800 } })
    page.on('pageerror', error => complaints.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    page.setDefaultTimeout(90_000)
    pages.push(page)
    await page.goto((isolated ? site.isolated : site.plain).url + path)
    return page
  }

  test('compress: a matrix is encoded, drawn and measured; more bits, less error', async () => {
    const page = await open('/compress')
    // the embedded model is there at once
    const number = async (what: string) =>
      Number.parseFloat((await page.locator(`[data-test=${what}]`).textContent())!)
    await page.locator('[data-test=error]').waitFor()
    const [bits, error] = [await number('bits'), await number('error')]
    expect(bits).toBeCloseTo(3, 1)
    expect(error / 100).toBeLessThan(1.4 * 4 ** -3)
    const slider = page.getByRole('slider', { name: /Bits of the codes/ })
    await slider.focus()
    await page.keyboard.press('ArrowLeft')
    await eventually(() => number('bits')).toBeCloseTo(2.5, 1)
    expect(await number('error')).toBeGreaterThan(1.5 * error)
    const colours = await page
      .locator('canvas')
      .first()
      .evaluate((canvas: HTMLCanvasElement) => {
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height)
        return new Set(data).size
      })
    expect(colours).toBeGreaterThan(50)
    await eventually(() => page.locator('.curve.trellis circle').count()).toBe(7)
    await page.getByRole('combobox', { name: 'Codec' }).selectOption('Uniform integers')
    await eventually(() => page.locator('.curve.grid circle').count()).toBe(8)
    expect(await page.locator('.curve.trellis circle').count()).toBe(7)
  })

  test('compress: what cannot be opened is said', async () => {
    const page = await open('/compress')
    const say = async (name: string, contents: Buffer) => {
      await page.locator('input[name=files]').setInputFiles({ name, mimeType: '', buffer: contents })
      return page.getByRole('alert').filter({ hasText: name })
    }
    await (await say('notes.pdf', Buffer.from('%PDF')))
      .getByText('neither a .safetensors nor a .gguf')
      .waitFor()
    await (await say('cut.safetensors', Buffer.from('abc'))).waitFor()
    await (await say('cut.gguf', Buffer.from('GGUF\x03\0\0\0'))).waitFor()
  })

  test('compress: a whole model, which then writes, is downloaded, kept, and found again', async () => {
    const files = await oneBlock(folder)
    const page = await open('/compress')
    await page.locator('input[name=files]').setInputFiles(files)
    await page
      .locator('[data-test=estimate]')
      .getByText(/About \d+ s/)
      .waitFor()
    await page.getByRole('button', { name: 'Compress the whole model' }).click()
    const report = page.locator('[data-test=report]')
    await report.waitFor({ timeout: 240_000 })
    expect(await report.textContent()).toMatch(/Bits per weight[23]\.\d+.*Perplexity\d+\.\d → \d+\.\d/)
    // both write from the same beginnings, and where they differ is marked
    const [pair] = await page.locator('.side-by-side .pair').all()
    expect(await pair.locator('p').count()).toBe(2)
    expect(
      await page.locator('.side-by-side .pair mark, .side-by-side .pair u.differs').count(),
    ).toBeGreaterThan(0)
    await page.getByRole('button', { name: 'Let it write' }).click()
    const text = page.locator('.whole-model [data-test=text]')
    await eventually(() => text.textContent()).toMatch(/^The ship.{20}/s)

    const downloading = page.waitForEvent('download')
    await page.getByRole('button', { name: /Download/ }).click()
    const saved = join(folder, 'saved.zip')
    await (await downloading).saveAs(saved)
    const artifact = await unzip(saved, join(folder, 'saved'))
    const model = await openModel(artifact)
    expect(model.kind).toBe('artifact')
    expect(model.bytes).toBeLessThan(600_000)
    await model.close()

    // the page opens what it has written: the zip, and the folder with its README
    for (const [input, path] of [
      ['files', saved],
      ['folder', artifact],
    ]) {
      await page.locator(`input[name=${input}]`).setInputFiles(path)
      await page.locator('[data-test=opened]').getByText(basename(path)).waitFor()
      await page.locator('[data-test=obstacle]').getByText('compressed already').waitFor()
    }
    await page.locator('input[name=files]').setInputFiles(files)
    await page.getByRole('button', { name: 'Keep in this browser' }).waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Compress the whole model' }).click()
    await page.getByRole('button', { name: 'Keep in this browser' }).click({ timeout: 240_000 })
    await page.getByText('Kept in this browser as').waitFor()
    await page.reload()
    await page.locator('.kept').getByRole('button', { name: 'Let it write' }).click()
    await eventually(() => page.locator('[data-test=kept-text]').textContent()).toMatch(/^The ship.{20}/s)
  })

  test('every page: less than 300 kB of JavaScript before a model is loaded', async () => {
    for (const path of ['/', '/compress', '/guides/node']) {
      const page = await site.browser.newPage()
      pages.push(page)
      const scripts: Response[] = []
      page.on('response', response => {
        if (/\.js$/.test(new URL(response.url()).pathname)) scripts.push(response)
      })
      await page.goto(site.isolated.url + path, { waitUntil: 'networkidle' })
      const bodies = await Promise.all(scripts.map(response => response.body()))
      const bytes = bodies.reduce((sum, body) => sum + gzipSync(body).length, 0)
      expect.soft(bytes, path).toBeLessThan(300_000)
    }
  })

  test('on a phone nothing is wider than the screen', async () => {
    for (const path of ['/', '/compress']) {
      const page = await open(path, { width: 360 })
      if (path === '/compress') await page.locator('[data-test=figures]').waitFor()
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
    }
  })
})

/** The embedded model without all blocks but the first: quick to compress. */
async function oneBlock(folder: string): Promise<string[]> {
  const model = await openModel(tiny)
  const kept = [...model.tensors.keys()].filter(name => !/layers\.[1-9]/.test(name))
  const tensors = Object.fromEntries(
    await Promise.all(kept.map(async name => [name, await model.read(name)])),
  )
  await model.close()
  const weights = join(folder, 'model.safetensors')
  await writeSafetensors(weights, tensors)
  const config = join(folder, 'config.json')
  await writeFile(config, JSON.stringify({ ...model.config, num_hidden_layers: 1 }))
  // what folders of the hub hold besides
  const others = ['README.md', 'LICENSE', '.gitattributes'].map(name => join(folder, name))
  for (const path of others) await writeFile(path, 'text')
  const tokenizer = ['tokenizer.json', 'tokenizer_config.json'].map(name => join(tiny, name))
  return [...others, weights, config, ...tokenizer]
}

/** Unpacks an archive into a new folder. */
async function unzip(path: string, to: string): Promise<string> {
  await mkdir(to)
  for (const [name, bytes] of Object.entries(unzipSync(await readFile(path)))) {
    await writeFile(join(to, name), bytes)
  }
  return to
}
