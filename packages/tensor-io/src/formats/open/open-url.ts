import type { ModelFiles, OpenOptions } from '../model-files.ts'
import { openUrlSource } from '../source/url-source.ts'
import type { Directory } from './directory.ts'
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
  const { urlDirectory } = await import('./url-directory.ts')
  if (file === undefined) return openDirectory(await urlDirectory(href, options), url, options)
  const folder = pathname.slice(0, -file.length)
  const beside = (name: string) => {
    const neighbour = new URL(href)
    neighbour.pathname = folder + name
    return neighbour.href
  }
  if (file.endsWith('.gguf')) {
    const alone: Directory = {
      name: url,
      names: [file],
      local: false,
      open: name => openUrlSource(beside(name), options),
    }
    return openDirectory(alone, url, options, file)
  }
  return openDirectory(await urlDirectory(beside(''), options), url, options, decodeURIComponent(file))
}
