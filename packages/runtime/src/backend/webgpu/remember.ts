import { makeFolder } from '@reallm/tensor-io'

/** A folder of Node's user, or a browser's cache, that keeps what was measured. */
const NAME = 'reallm-gpu'

/** What was kept under a key; undefined where nothing is, or nothing can be. */
export async function recall(key: string): Promise<unknown> {
  try {
    if (typeof caches !== 'undefined') {
      const kept = await (await caches.open(NAME)).match(urlOf(key))
      return await kept?.json()
    }
    const { fs, file } = place(key)
    return JSON.parse(await fs.readFile(file, 'utf8'))
  } catch {
    // nothing was kept
  }
  return undefined
}

/** Keeps a value; where that fails, it is measured again the next time. */
export async function remember(key: string, value: unknown): Promise<void> {
  const text = JSON.stringify(value)
  try {
    if (typeof caches !== 'undefined') {
      await (await caches.open(NAME)).put(urlOf(key), new Response(text))
      return
    }
    const { fs, file, folder } = place(key)
    await makeFolder(folder)
    await fs.writeFile(file, text)
  } catch {
    // the next start measures again
  }
}

const urlOf = (key: string): string => `https://reallm.invalid/${encodeURIComponent(key)}`

/** Of Node; a page without a cache has none, which counts as nothing kept. */
function place(key: string) {
  const [fs, { join }] = [process.getBuiltinModule('fs/promises'), process.getBuiltinModule('path')]
  const { REALLM_CACHE, XDG_CACHE_HOME, HOME, USERPROFILE } = process.env
  const caches = XDG_CACHE_HOME ?? join(HOME ?? USERPROFILE ?? '.', '.cache')
  const folder = join(REALLM_CACHE ?? join(caches, 'reallm'), NAME)
  return { fs, folder, file: join(folder, `${encodeURIComponent(key)}.json`) }
}
