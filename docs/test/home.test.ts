import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import figures from '../public/models/figures.json' with { type: 'json' }
import recorded from '../public/models/finetune.json' with { type: 'json' }
import { chromiumPath, openSite, type TestedSite } from './site.ts'

vi.setConfig({ testTimeout: 300_000 })

const eventually = <T>(what: () => T) => expect.poll(what, { timeout: 90_000 })

describe.skipIf(!chromiumPath)('the home page in Chromium', () => {
  let site: TestedSite
  const complaints: string[] = []
  const pages: Page[] = []

  beforeAll(async () => void (site = await openSite()), 900_000)
  afterAll(() => site?.close())
  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close()
    expect(complaints.splice(0)).toEqual([])
  })

  /** The home page, and what was asked for meanwhile. */
  async function open({ isolated = true }: { isolated?: boolean } = {}) {
    const context = await site.browser.newContext({ viewport: { width: 1280, height: 800 } })
    const page = await context.newPage()
    page.setDefaultTimeout(120_000)
    pages.push(page)
    page.on('pageerror', error => complaints.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error') complaints.push(message.text())
    })
    const requests: { path: string; status: number; bytes: number }[] = []
    page.on('response', response => {
      const path = new URL(response.url()).pathname
      const bytes = Number(response.headers()['content-length'] ?? 0)
      requests.push({ path, status: response.status(), bytes })
    })
    await page.goto(`${(isolated ? site.isolated : site.plain).url}/`)
    return { page, requests }
  }

  const tab = (page: Page, name: string) => page.getByRole('tab', { name }).click()
  const bytesOf = (requests: readonly { bytes: number }[]) =>
    requests.reduce((sum, { bytes }) => sum + bytes, 0)

  test.each([true, false])('writes at once beside a recorded after (isolated: %s)', async isolated => {
    const { page } = await open({ isolated })
    expect(await page.evaluate('crossOriginIsolated')).toBe(isolated)
    expect(await page.locator('[data-test=after]').textContent()).toBe(recorded.prompt + recorded.after)
    const before = page.locator('[data-test=before]')
    await eventually(async () => (await before.textContent())!.length).toBeGreaterThan(60)
    expect(await before.textContent()).toMatch(new RegExp(`^${recorded.prompt}`))
  })

  test('asks for nothing that is missing, and for nothing large, until the first words', async () => {
    const { page, requests } = await open()
    const before = page.locator('[data-test=before]')
    await eventually(async () => (await before.textContent())!.length).toBeGreaterThan(60)
    await page.waitForLoadState('networkidle')
    expect(requests.filter(({ status }) => status >= 400)).toEqual([])
    expect(requests.filter(({ path }) => /models\/(tiny|smollm2)\//.test(path))).toEqual([])
    expect(requests.length).toBeLessThan(60)
    expect(bytesOf(requests)).toBeLessThan(3.5e6)
    console.info(`until the first words: ${requests.length} requests, ${bytesOf(requests)} bytes`)
  })

  test('the real model comes on a click, answers, and is kept', async () => {
    const { page, requests } = await open()
    const ask = async () => {
      await page.getByRole('textbox', { name: 'Ask it' }).fill('What is the capital of France?')
      await page.getByRole('button', { name: 'Send' }).click()
      await page.locator('[data-test=turns] [data-state=written]').waitFor()
      expect(await page.locator('.turns .answer').textContent()).toContain('Paris')
      expect(await page.locator('.turns .note').textContent()).toMatch(/\d+ tokens, \d+ a second/)
    }
    await tab(page, 'Chat')
    await page.getByText('The same questions to both').waitFor()
    expect(requests.filter(({ path }) => path.includes('smollm2'))).toEqual([])
    await page.getByRole('button', { name: /Load it \(\d+\.\d MB, kept/ }).click()
    await page.locator('[data-test=loaded]').waitFor()
    console.info(`first visit: ${await page.locator('[data-test=loaded]').textContent()}`)
    await ask()
    expect(requests.filter(({ status }) => status >= 400)).toEqual([])
    const weights = () => requests.filter(({ path }) => path.includes('smollm2/model-part'))
    console.info(`until the real model answers: ${requests.length} requests, ${bytesOf(requests)} bytes`)
    expect(bytesOf(weights())).toBeGreaterThan(4e7)

    requests.length = 0
    await page.reload()
    await tab(page, 'Chat')
    await page.getByRole('button', { name: 'Start it: it is kept in this browser' }).click()
    await page.locator('[data-test=loaded]').waitFor()
    console.info(`second visit: ${await page.locator('[data-test=loaded]').textContent()}`)
    expect(bytesOf(weights())).toBeLessThan(1000)
    await ask()
  })

  test('fewer bits: the slider, by keyboard, shows size, perplexity and text of each rate', async () => {
    const { page, requests } = await open()
    const chosen = page.locator('[data-test=chosen]')
    const written = async () => (await chosen.locator('[data-state=written]').textContent())!
    await page.getByRole('tab', { name: 'Fine-tune' }).focus()
    await page.keyboard.press('ArrowLeft')
    const three = await written()
    expect(three.length).toBeGreaterThan(60)
    expect(await chosen.locator('.note').textContent()).toMatch(/[1-4] threads?,/)
    await page.getByRole('slider').focus()
    await page.keyboard.press('Home')
    const [two] = figures.figures
    expect(await page.locator('[data-test=perplexity]').textContent()).toBe(two.perplexity.toFixed(2))
    await eventually(() => page.locator('[data-test=size]').textContent()).toBe(
      `${(two.bytes / 1000).toFixed(0)} kB`,
    )
    await eventually(written).not.toBe(three)
    expect(requests.filter(({ path }) => path.includes('models/tiny/'))).toEqual([])
    await page.locator('[data-test=load-original]').click()
    await page.locator('[data-test=original] [data-state=written]').waitFor()
    await eventually(() => chosen.locator('mark, u.differs').count()).toBeGreaterThan(0)
    expect(requests.filter(({ status }) => status >= 400)).toEqual([])
  })
})
