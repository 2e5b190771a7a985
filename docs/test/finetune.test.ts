import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesSource, openFiles } from '@reallm/tensor-io'
import { parseAdapter } from '@reallm/transformer'
import { unzipSync } from 'fflate'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import recorded from '../public/models/finetune.json' with { type: 'json' }
import { chromiumPath, openSite, type TestedSite } from './site.ts'

describe.skipIf(!chromiumPath)('fine-tuning in the page', () => {
  let site: TestedSite
  beforeAll(async () => {
    site = await openSite()
  }, 600_000)
  afterAll(() => site?.close())

  test('learns the text, plots the loss, writes before and after, and hands out the adapter', {
    timeout: 600_000,
  }, async () => {
    const page = await site.browser.newPage({ acceptDownloads: true })
    const errors: string[] = []
    page.on('pageerror', error => errors.push(error.message))
    await page.goto(`${site.isolated.url}/finetune`)
    expect(await page.locator('[data-test=after]').textContent()).toBe(recorded.prompt + recorded.after)
    await page.locator('input[name=steps]').fill('12')
    await page.getByRole('button', { name: 'Fine-tune it here' }).click()

    const result = page.locator('[data-test=result]')
    await result.waitFor({ timeout: 240_000 })
    const [, before, after] = /(\d\.\d+) → (\d\.\d+)/.exec((await result.textContent())!)!.map(Number)
    expect(after).toBeLessThan(before - 0.1)
    const points = await page.locator('[data-test=plot] polyline.training').getAttribute('points')
    expect(points!.split(' ')).toHaveLength(12)
    await page.locator('[data-test=texts][data-state=done]').waitFor({ timeout: 60_000 })
    const texts = await page.locator('[data-test=before], [data-test=after]').allTextContents()
    expect(new Set(texts).size).toBe(2)

    // another prompt, without training again
    await page.locator('input[name=prompt]').fill('Boil a')
    await page.locator('[data-test=again]').click()
    await expect
      .poll(() => page.locator('[data-test=after]').textContent(), { timeout: 60_000 })
      .toMatch(/^Boil a.{20}/s)

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: /Download the adapter/ }).click(),
    ])
    const files = unzipSync(readFileSync(await download.path()))
    const note = new TextDecoder().decode(files['README.md'])
    expect(note).toMatch(/base_model: tiny-3\n.*reallm compress npm:@reallm\/tiny.*--adapter \./s)
    const weights = new Uint8Array(files['adapter_model.safetensors'])
    const opened = await openFiles([
      { name: 'adapter_model.safetensors', source: bytesSource('adapter_model.safetensors', weights) },
    ])
    const { modules } = await parseAdapter(
      JSON.parse(new TextDecoder().decode(files['adapter_config.json'])),
      opened,
    )
    expect(modules.get('model.layers.0.mlp.up_proj')!.a.shape).toEqual([8, 192])
    expect(JSON.parse(new TextDecoder().decode(files['adapter_config.json']))).toMatchObject({
      base_model_name_or_path: 'tiny-3',
    })

    // an artifact of the visitor's
    const folder = join(import.meta.dirname, '..', 'public', 'models', 'tiny-2')
    const own = readdirSync(folder).map(name => join(folder, name))
    await page.locator('input[name=files]').setInputFiles(own)
    await page.getByRole('button', { name: 'Fine-tune model.safetensors' }).waitFor()
    await page
      .locator('[data-test=estimate]')
      .getByText(/About \d+ s/)
      .waitFor()
    await page.getByRole('button', { name: 'Fine-tune model.safetensors' }).click()
    await expect
      .poll(() => page.locator('[data-test=before]').textContent(), { timeout: 60_000 })
      .toMatch(/^Boil a.{20}/s)
    await page.locator('[data-test=result]').waitFor({ timeout: 240_000 })
    expect(errors).toEqual([])
    await page.close()
  })
})
