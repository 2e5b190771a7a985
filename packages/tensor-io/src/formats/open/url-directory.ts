import { ReallmError } from '../../core/errors.ts'
import { parseJson } from '../../core/json.ts'
import type { UrlOptions } from '../source/fetch-range.ts'
import { type ByteSource, bytesSource, readAll } from '../source/source.ts'
import { openUrlSource, urlExists } from '../source/url-source.ts'
import { indexName } from './choose-weights.ts'
import type { Directory } from './directory.ts'

/** The files of a model that are looked for behind a URL where nothing lists them. */
const wellKnown = [
  'adapter_config.json',
  'adapter_model.safetensors',
  'added_tokens.json',
  'chat_template.jinja',
  'config.json',
  'generation_config.json',
  'merges.txt',
  'model.safetensors',
  'model.safetensors.index.json',
  'reallm-report.json',
  'reallm-signature.json',
  'special_tokens_map.json',
  'tokenizer.json',
  'tokenizer.model',
  'tokenizer_config.json',
  'vocab.json',
]

export interface UrlDirectoryOptions extends UrlOptions {
  /** Names of its files, where they are known. */
  readonly files?: readonly string[] | undefined
  /** An adapter is wanted, which may lie beside an artifact that does not list it. */
  readonly adapter?: boolean | undefined
}

/**
 * A directory behind HTTP(S). Its files are those that `files` or the index of an artifact names; for other models the
 * well-known names are tried.
 */
export async function urlDirectory(url: string, options: UrlDirectoryOptions): Promise<Directory> {
  const base = new URL(url)
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  const urlOf = (name: string) => {
    const file = new URL(encodeURIComponent(name), base)
    file.search = base.search
    return file.href
  }
  const open = (name: string) => openUrlSource(urlOf(name), options)
  // every model has one: it comes while the index is asked for
  const config = options.adapter ? undefined : open('config.json')
  config?.catch(() => {})
  const directory = (names: readonly string[], index?: Uint8Array): Directory => ({
    ...{ name: url, names: [...names].sort(), local: false },
    open: async name => {
      if (index && name === indexName) return bytesSource(urlOf(name), index)
      return name === 'config.json' && config ? config : open(name)
    },
  })
  if (options.files) return directory(options.files)
  const index = options.adapter ? undefined : await bytesOrNothing(() => open(indexName))
  const listed = index && filesListed(index)
  if (listed) return directory(listed, index)
  const tried = index || options.adapter ? wellKnown : wellKnown.filter(name => name !== indexName)
  const there = await Promise.all(tried.map(name => urlExists(urlOf(name), options)))
  return directory(tried.filter((_, i) => there[i]))
}

/** All of a file; undefined where there is none. */
async function bytesOrNothing(open: () => Promise<ByteSource>): Promise<Uint8Array | undefined> {
  try {
    return await readAll(await open())
  } catch (error) {
    if (error instanceof ReallmError && error.code === 'not-found') return undefined
    throw error
  }
}

/** The files that an artifact's index names beside itself; undefined for other indices, and for pages in place of one. */
function filesListed(index: Uint8Array): string[] | undefined {
  try {
    const files: unknown = Object(parseJson(indexName, index).metadata).files
    const isName = (name: unknown) => typeof name === 'string' && /^[^/\\]+$/.test(name)
    return Array.isArray(files) && files.every(isName) ? [...new Set([...files, indexName])] : undefined
  } catch {
    return undefined
  }
}
