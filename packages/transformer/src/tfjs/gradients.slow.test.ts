import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

test('the committed gradients are those of the installed TensorFlow.js', () => {
  const build = fileURLToPath(new URL('../../tools/build-gradients.mjs', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [build, '--check'], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
})
