import type { downloadFile, ListFileEntry } from '@huggingface/hub'
import { ReallmError } from '../../core/errors.ts'
import { throwIfAborted } from '../../core/progress.ts'
import { partNames } from '../gguf/part-names.ts'
import { type OpenOptions, templateFolder } from '../model-files.ts'
import { createAtomicFile, writeFileAtomic } from '../source/atomic-file.ts'
import { fileError } from '../source/file-error.ts'
import { makeFolder } from '../source/make-folder.ts'
import { nodeModule } from '../source/node.ts'
import type { HubSpec } from './parse-hub-spec.ts'
import { pickleHint } from './pickle-hint.ts'

interface HubParams {
  readonly repo: string
  readonly hubUrl?: string
  readonly accessToken?: string
  readonly fetch: typeof fetch
  readonly revision?: string
}

/**
 * Downloads what is needed of a model into the cache that Python's huggingface_hub uses too (`blobs`, `refs`,
 * `snapshots`) and returns the snapshot's directory. Files that are there are not downloaded again; without a
 * network the last downloaded revision is used.
 */
export async function downloadModel(
  { repo, revision, file }: HubSpec,
  options: OpenOptions,
): Promise<string> {
  const hub = await hubClient(repo)
  const { join } = nodeModule('path')
  const fs = nodeModule('fs/promises')
  const home = join(
    options.cacheDir ?? hub.getHFHubCachePath(),
    hub.getRepoFolderName({ type: 'model', name: repo }),
  )
  const ref = join(home, 'refs', revision)
  const accessToken = options.accessToken ?? process.env.HF_TOKEN
  const params: HubParams = {
    repo,
    ...(options.hubUrl === undefined ? {} : { hubUrl: options.hubUrl }),
    ...(accessToken === undefined ? {} : { accessToken }),
    fetch: (input, init) => (options.fetch ?? fetch)(input, { ...init, signal: options.signal ?? null }),
  }

  let commit: string
  try {
    const info = await hub.modelInfo({ ...params, name: repo, additionalFields: ['sha'], revision })
    commit = checkedHash(info.sha)
  } catch (error) {
    throwIfAborted(options.signal)
    const known = await fs.readFile(ref, 'utf8').catch(() => undefined)
    if (known === undefined || error instanceof hub.HubApiError) throw hubError(repo, revision, error)
    return join(home, 'snapshots', known.trim())
  }
  const snapshot = join(home, 'snapshots', commit)
  try {
    const entries: ListFileEntry[] = []
    const list = { ...params, recursive: file !== undefined, revision: commit }
    for await (const entry of hub.listFiles(list)) {
      if (entry.type === 'file') entries.push(entry)
      else if (entry.path === templateFolder && file === undefined) {
        for await (const template of hub.listFiles({ ...list, path: templateFolder })) {
          if (template.type === 'file') entries.push(template)
        }
      }
    }
    for (const entry of neededFiles(repo, entries, file, options.adapter ?? false)) {
      const target = join(snapshot, entry.path)
      if (await exists(target)) continue
      const blob = join(home, 'blobs', checkedHash(entry.lfs?.oid ?? entry.oid))
      if (!(await exists(blob)))
        await download(hub.downloadFile, { ...params, revision: commit }, entry, blob, options)
      await link(blob, target)
    }
  } catch (error) {
    throwIfAborted(options.signal)
    throw hubError(repo, revision, error)
  }
  await writeFileAtomic(ref, commit)
  return snapshot
}

/** The hub's client: `reallm` brings it, a program that only runs models does without. */
const hubClient = (repo: string) =>
  import('@huggingface/hub').catch(cause => {
    throw new ReallmError('unsupported', `hf:${repo} needs the package @huggingface/hub`, {
      cause,
      hint: 'npm install @huggingface/hub',
    })
  })

/** The files to download: the one asked for, or weights and small files at the top of the repository. */
function neededFiles(
  repo: string,
  entries: readonly ListFileEntry[],
  file: string | undefined,
  adapter: boolean,
): ListFileEntry[] {
  if (file !== undefined) {
    return (partNames(file) ?? [file]).map(name => {
      const found = entries.find(entry => entry.path === name)
      if (found) return found
      throw new ReallmError('not-found', `hf:${repo}: there is no file ${name} in it`)
    })
  }
  const top = entries.filter(({ path }) => !/[/\\]/.test(path))
  const weights = top.filter(entry => entry.path.endsWith('.safetensors'))
  if (weights.length === 0) {
    const names = top.map(entry => entry.path)
    const gguf = names.find(name => name.endsWith('.gguf'))
    throw new ReallmError('not-found', `hf:${repo}: it has no safetensors`, {
      hint:
        gguf === undefined
          ? (pickleHint(repo, names) ?? 'choose another model')
          : `name one of its GGUF files: hf:${repo}/${gguf}`,
    })
  }
  const orders = adapter
    ? [/^adapter_model\.safetensors$/]
    : [/^model\.safetensors$/, /^model-\d+-of-\d+\.safetensors$/]
  const order = orders.find(wanted => weights.some(entry => wanted.test(entry.path)))
  const chosen = order ? weights.filter(entry => order.test(entry.path)) : weights
  const small = entries.filter(({ path }) => smallFile.test(path))
  return [...small, ...chosen]
}

/** Configuration and tokenizer, at the top, and chat templates in their folder. */
const smallFile = new RegExp(`^([^/\\\\]+\\.(json|jinja|txt|model)|${templateFolder}/[^/\\\\]+\\.jinja)$`)

async function download(
  get: typeof downloadFile,
  params: HubParams,
  entry: ListFileEntry,
  path: string,
  { signal, onProgress }: OpenOptions,
): Promise<void> {
  const blob = await get({ ...params, path: entry.path })
  if (!blob) throw new ReallmError('not-found', `hf:${params.repo}: ${entry.path} cannot be downloaded`)
  const report = (event: string, done: number) =>
    onProgress?.({ event, name: entry.path, done, total: blob.size })
  report('file-start', 0)
  const file = await createAtomicFile(path)
  const hash = nodeModule('crypto').createHash('sha256')
  try {
    let done = 0
    for await (const chunk of blob.stream()) {
      throwIfAborted(signal)
      await file.write(chunk, done)
      hash.update(chunk)
      done += chunk.length
      report('bytes-read', done)
    }
    const altered = entry.lfs !== undefined && hash.digest('hex') !== entry.lfs.oid
    if (done !== entry.size || altered) {
      const what = altered ? 'bytes with another checksum' : `${done} of ${entry.size} bytes`
      throw new ReallmError('integrity', `hf:${params.repo}: ${entry.path} came as ${what}`, {
        hint: 'try again',
      })
    }
    await file.commit()
    report('file-end', done)
  } catch (error) {
    await file.abort()
    throw error
  }
}

async function link(blob: string, target: string): Promise<void> {
  const { dirname, relative } = nodeModule('path')
  const fs = nodeModule('fs/promises')
  try {
    await makeFolder(dirname(target))
    // symbolic links need a privilege on Windows
    await fs.symlink(relative(dirname(target), blob), target).catch(() => fs.link(blob, target))
  } catch (cause) {
    throw fileError(cause, target, 'write')
  }
}

/** Hashes name files of the cache, so they must be nothing else. */
function checkedHash(hash: string | undefined): string {
  if (hash !== undefined && /^[0-9a-f]{8,64}$/.test(hash)) return hash
  throw new ReallmError('bad-file', `the hub sent ${JSON.stringify(hash)} where a hash is due`)
}

function hubError(repo: string, revision: string, cause: unknown): ReallmError {
  if (cause instanceof ReallmError) return cause
  const { statusCode, message } = cause as { statusCode?: number; message: string }
  if (statusCode === 404) {
    return new ReallmError('not-found', `hf:${repo}: there is no such model, or no revision ${revision}`, {
      cause,
    })
  }
  if (statusCode === 401 || statusCode === 403) {
    return new ReallmError('io', `hf:${repo}: the hub refuses access, or there is no such model`, {
      cause,
      hint: 'set HF_TOKEN to an access token of an account that has accepted the licence of the model',
    })
  }
  const reason = (cause as { cause?: Error }).cause?.message ?? message
  return new ReallmError('io', `hf:${repo}: the hub cannot be reached (${reason})`, {
    cause,
    hint: 'check the network, or download the model elsewhere and name its directory',
  })
}

const exists = (path: string) =>
  nodeModule('fs/promises')
    .access(path)
    .then(
      () => true,
      () => false,
    )
