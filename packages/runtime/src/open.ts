import {
  blobSource,
  type ModelFiles,
  type OpenOptions,
  openFiles,
  openModel,
  ReallmError,
  type Registry,
} from '@reallm/tensor-io'

/** Where a model is: a path, `hf:` or `npm:` name, URL, the files a visitor chose, or an open model. */
export type ModelLocation = string | URL | Blob | Iterable<File> | ModelFiles

export interface LocationOptions {
  /** Opens the adapter, also where a model lies beside it. */
  readonly adapter?: boolean | undefined
  readonly files?: readonly string[] | undefined
  readonly base?: string | undefined
  readonly cache?: boolean | string | undefined
  readonly registry?: Registry | undefined
  readonly publicKey?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Opens it; a page keeps what it fetches unless `cache` is false. */
export async function openLocation(where: ModelLocation, options: LocationOptions): Promise<ModelFiles> {
  const { adapter, base, files, cache = true, publicKey, registry, signal } = options
  const opening: OpenOptions = { adapter, base, files, publicKey, registry, signal }
  if (typeof where === 'string' || where instanceof URL) return openKept(String(where), opening, cache)
  if (where instanceof Blob) return openFiles([named(where)], opening)
  if (Symbol.iterator in where) return openFiles([...where].map(named), opening)
  if (publicKey === undefined) return where
  throw new ReallmError(
    'bad-option',
    `${where.spec}: it is open already, and was not compared with a public key`,
    {
      hint: 'give the key to openModel',
    },
  )
}

/** Opens it by a `fetch` that keeps what it fetched, where anything is kept: not in Node, nor in insecure pages. */
async function openKept(where: string, opening: OpenOptions, cache: boolean | string): Promise<ModelFiles> {
  if (cache === false || typeof caches === 'undefined') return openModel(where, opening)
  const { openCachingFetch } = await import('./cache.ts')
  const kept = await openCachingFetch(typeof cache === 'string' ? cache : 'reallm')
  try {
    const files = await openModel(where, { ...opening, fetch: kept.fetch })
    const close = async () => {
      await files.close()
      kept.close()
    }
    return { ...files, close }
  } catch (error) {
    kept.close()
    throw error
  }
}

function named(blob: Blob) {
  const name = 'name' in blob ? String(blob.name) : 'model.gguf'
  return { name, source: blobSource(name, blob) }
}
