import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumPath, openSite, type TestedSite } from './site.ts'

describe.skipIf(!chromiumPath)('pages of packages', () => {
  let site: TestedSite
  beforeAll(async () => void (site = await openSite()), 600_000)
  afterAll(() => site?.close())

  /** Opens a package's page on a phone and returns its live example. */
  async function openExample(name: string, url = site.isolated.url) {
    const page = await site.browser.newPage({ viewport: { width: 390, height: 844 } })
    await page.goto(`${url}/packages/${name}`)
    const code = page.getByRole('textbox', { name: /^Code/ })
    const output = page.locator('.live pre')
    const run = async () => {
      await page.getByRole('button', { name: 'Run', exact: true }).click()
      await page
        .getByRole('button', { name: 'Run', exact: true, disabled: false })
        .waitFor({ timeout: 120_000 })
      return output.textContent()
    }
    return { page, code, output, run }
  }

  // a codec; a model on the runtime; TensorFlow.js's wasm backend
  test.each(['vq', 'runtime', 'eval'])('%s runs in a Worker', { timeout: 150_000 }, async name => {
    for (const { url } of name === 'vq' ? [site.isolated, site.plain] : [site.isolated]) {
      const { page, run } = await openExample(name, url)
      expect(await run()).toMatch(/\d[\s\S]*\n— [\d.]+ s\n?$/)
      await page.close()
    }
  })

  test('code can be changed, stopped and reset; errors are said', { timeout: 120_000 }, async () => {
    const { page, code, output, run } = await openExample('tensor-io')
    await expect.poll(() => code.inputValue()).toMatch(/^import/)
    await code.fill("import { openModel } from '@reallm/tensor-io'\nawait openModel('/nowhere/')")
    expect(await run()).toMatch(/nowhere\/: there is no model\.safetensors in it\n.*config\.json/)
    await code.fill('console.log([1, 2].map(x => 2 * x), { a: 0.5 })')
    await code.press('Control+Enter')
    await expect.poll(() => output.textContent()).toMatch(/^\[2, 4\] \{ a: 0\.5000 \}/)
    await code.fill('while (true);')
    await page.getByRole('button', { name: 'Run', exact: true }).click()
    await page.getByRole('button', { name: 'Stop' }).click()
    await expect.poll(() => output.textContent()).toMatch(/stopped on request/)
    await page.getByRole('button', { name: 'Reset' }).click()
    expect(await code.inputValue()).toMatch(/^import/)
    await page.close()
  })
})
