import { readFileSync } from 'node:fs'
import { bytesSource, openFiles } from '@reallm/tensor-io'
import { parseAdapter } from '@reallm/transformer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumPath, openSite, type TestedSite } from './site.ts'

describe.skipIf(!chromiumPath)('fine-tuning in the page', () => {
  let site: TestedSite
  beforeAll(async () => {
    site = await openSite()
  }, 600_000)
  afterAll(() => site?.close())

  test('learns the text, plots the loss, writes before and after, and hands out the adapter', {
    timeout: 300_000,
  }, async () => {
    const page = await site.browser.newPage({ acceptDownloads: true })
    const errors: string[] = []
    page.on('pageerror', error => errors.push(error.message))
    await page.goto(`${site.isolated.url}/finetune`)
    await page.locator('input[name=steps]').fill('12')
    await page.getByRole('button', { name: 'Fine-tune', exact: true }).click()

    await page.locator('[data-test=plot] polyline.training[points]').waitFor({ timeout: 120_000 })
    const result = page.locator('[data-test=result]')
    await result.waitFor({ timeout: 240_000 })
    const [, before, after] = /(\d\.\d+) → (\d\.\d+)/.exec((await result.textContent())!)!.map(Number)
    expect(after).toBeLessThan(before - 0.1)
    const points = await page.locator('[data-test=plot] polyline.training').getAttribute('points')
    expect(points!.split(' ')).toHaveLength(12)
    await page.locator('[data-test=texts][data-state=done]').waitFor({ timeout: 60_000 })
    const texts = await page.locator('[data-test=before], [data-test=after]').allTextContents()
    expect(new Set(texts).size).toBe(2)

    const files: Record<string, Buffer> = {}
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name, exact: true }).click(),
      ])
      files[name] = readFileSync(await download.path())
    }
    const weights = new Uint8Array(files['adapter_model.safetensors'])
    const opened = await openFiles([
      { name: 'adapter_model.safetensors', source: bytesSource('adapter_model.safetensors', weights) },
    ])
    const { modules } = await parseAdapter(JSON.parse(files['adapter_config.json'].toString()), opened)
    expect(modules.get('model.layers.0.mlp.up_proj')!.a.shape).toEqual([8, 192])
    expect(errors).toEqual([])
    await page.close()
  })
})
