import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { openUrlSource } from '../source/url-source.ts'
import { type Directory, urlDirectory } from './directory.ts'
import { openDirectory } from './open-directory.ts'

/**
 * Opens a model behind HTTP(S): a directory with `config.json`, or a `.gguf` or `.safetensors` file. Only what is
 * read is fetched, by range requests.
 *
 * @example
 * const model = await openUrl('https://example.com/model/')
 */
export async function openUrl(url: string, options: OpenOptions = {}): Promise<ModelFiles> {
  const { pathname, href } = new URL(url)
  const file = /[^/]*\.(gguf|safetensors)$/.exec(pathname)?.[0]
  if (file === undefined) return openDirectory(await urlDirectory(href, options), url, options)
  if (file.endsWith('.gguf')) {
    const alone: Directory = {
      name: url,
      names: [file],
      local: false,
      open: () => openUrlSource(href, options),
    }
    return openDirectory(alone, url, options, file)
  }
  const beside = new URL(href)
  beside.pathname = pathname.slice(0, -file.length)
  return openDirectory(await urlDirectory(beside.href, options), url, options, decodeURIComponent(file))
}
