import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { chromiumPath, openSite, type TestedSite } from './site.ts'

vi.setConfig({ testTimeout: 180_000 })

const paths = [
  '/',
  '/compress',
  '/finetune',
  '/recipes',
  '/guides/node',
  '/guides/comparison',
  '/guides/which-model',
  '/guides/cli',
  '/guides/faq',
  '/guides/families',
  '/research/autoencoder',
  '/research/recipes',
  '/packages/smollm2',
]

/** Texts whose contrast with what lies behind them is below WCAG's AA; code in colours is left out. */
const faint = `(() => {
  const numbers = colour => (colour.match(/[\\d.]+/g) ?? []).map(Number)
  const light = ([r, g, b]) =>
    [r, g, b].map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0)
  const over = (top, below) => {
    const a = top[3] ?? 1
    return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a))
  }
  const behind = element => {
    const layers = []
    for (let e = element; e; e = e.parentElement) layers.push(numbers(getComputedStyle(e).backgroundColor))
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255])
  }
  const found = []
  for (const element of document.querySelectorAll('.tool *, .vp-doc *')) {
    if (element.closest('pre, canvas, [disabled]') || !element.checkVisibility?.()) continue
    const isText = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim() !== '')
    if (!isText) continue
    const style = getComputedStyle(element)
    const isSvg = element.namespaceURI.endsWith('svg')
    const back = behind(element)
    const front = over(numbers(isSvg ? style.fill : style.color), back)
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x)
    const size = parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if ((a + 0.05) / (b + 0.05) < (isLarge ? 3 : 4.5)) found.push(element.textContent.trim().slice(0, 40) + ' ' + style.color)
  }
  return found
})()`

/** Letters of drawings that a phone shows too small to read. */
const small = `[...document.querySelectorAll('.tool svg text')]
  .filter(text => text.getBoundingClientRect().height < 10)
  .map(text => text.textContent)`

const isDark = `document.documentElement.classList.contains('dark')`

const shift = `new Promise(resolve => {
  let sum = 0
  new PerformanceObserver(list => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value
  }).observe({ type: 'layout-shift', buffered: true })
  setTimeout(() => resolve(sum), 300)
})`

describe.skipIf(!chromiumPath)('every page, narrow and wide, light and dark', () => {
  let site: TestedSite
  beforeAll(async () => void (site = await openSite()), 900_000)
  afterAll(() => site?.close())

  test.each(paths)('%s', async path => {
    for (const width of [1280, 390]) {
      const context = await site.browser.newContext({
        ...{ viewport: { width, height: 844 }, colorScheme: 'light' },
      })
      const page = await context.newPage()
      const errors: string[] = []
      page.on('pageerror', error => errors.push(error.message))
      page.on('console', message => {
        if (message.type() === 'error') errors.push(message.text())
      })
      await page.goto(site.isolated.url + path, { waitUntil: 'networkidle', timeout: 90_000 })
      if (path === '/compress') await page.locator('.error-curve').waitFor({ timeout: 90_000 })
      for (const colorScheme of ['light', 'dark'] as const) {
        const where = `${path}, ${width} wide, ${colorScheme}`
        await page.emulateMedia({ colorScheme })
        await expect.poll(() => page.evaluate(isDark), { message: where }).toBe(colorScheme === 'dark')
        expect
          .soft(await page.evaluate('document.documentElement.scrollWidth'), where)
          .toBeLessThanOrEqual(width)
        expect.soft(await page.evaluate(faint), where).toEqual([])
        expect.soft(await page.evaluate(small), where).toEqual([])
        expect.soft(await page.evaluate(shift), where).toBeLessThan(0.25)
        if (process.env.SCREENSHOTS) {
          const name = `${path.replaceAll('/', '-')}-${width}-${colorScheme}.png`
          await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}` })
        }
      }
      const where = `${path}, ${width} wide`
      expect.soft(await page.locator('main').count(), where).toBe(1)
      expect.soft(await page.locator('h1').count(), where).toBe(1)
      expect.soft(errors, where).toEqual([])
      await context.close()
    }
  })

  test('the keyboard reaches everything on the home page, and shows where it is', async () => {
    const page = await site.browser.newPage({ viewport: { width: 1280, height: 844 } })
    await page.goto(site.isolated.url, { waitUntil: 'networkidle' })
    const reached = new Set<string>()
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab')
      const [what, outline] = (await page.evaluate(`(() => {
        const element = document.activeElement
        const { outlineStyle, outlineWidth } = getComputedStyle(element)
        const inTool = element.closest('.tool') !== null
        return [inTool ? element.tagName + ' ' + (element.textContent.trim() || element.name) : '', outlineStyle + outlineWidth]
      })()`)) as [string, string]
      if (what === '') continue
      reached.add(what)
      expect.soft(outline, what).not.toMatch(/^none|^\w+0px/)
    }
    for (const wanted of [
      /^BUTTON Fine-tune$/,
      /^SUMMARY /,
      /^INPUT prompt/,
      /^BUTTON Fine-tune it here/,
      /^A Compress/,
    ])
      expect(
        [...reached].some(what => wanted.test(what)),
        String(wanted),
      ).toBe(true)
    await page.close()
  })
})
