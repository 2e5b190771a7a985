import { type LongWork, ReallmError, textOf } from '@reallm/tensor-io'
import type { Task } from './task.ts'

/** Largest file of a benchmark that is read; the hub's are a few megabytes. */
const largest = 2 ** 30

/**
 * The documents in a file as the Hugging Face hub has them: `.jsonl`, `.json` (a list) or `.parquet`.
 *
 * @throws `bad-file` for a file that is none of them
 * @example
 * const documents = await documentsOf('piqa.jsonl', await readFile('piqa.jsonl'))
 */
export async function documentsOf(name: string, bytes: Uint8Array): Promise<unknown[]> {
  if (/\.parquet$/.test(name)) return parquetRows(name, bytes)
  const text = textOf(name, bytes)
  if (/\.jsonl$/.test(name)) {
    const lines = text.split('\n').map((line, i) => ({ line, where: `${name}, line ${i + 1}` }))
    return lines.filter(({ line }) => line.trim() !== '').map(({ line, where }) => json(where, line))
  }
  const rows = /\.json$/.test(name) ? json(name, text) : undefined
  if (Array.isArray(rows)) return rows
  throw new ReallmError('bad-file', `${name} holds no list of documents`, {
    hint: 'give a .jsonl, .json or .parquet file of the benchmark',
  })
}

function json(where: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ReallmError('bad-file', `${where} is not JSON`, { cause })
  }
}

/** Options of `downloadDocuments`. */
export interface DownloadOptions extends LongWork {
  /** Default https://huggingface.co. */
  readonly hubUrl?: string | undefined
  readonly fetch?: typeof fetch | undefined
}

/** Downloads the documents of a task from the Hugging Face hub, in the Parquet form that it keeps of every dataset. */
export async function downloadDocuments(task: Task, options: DownloadOptions = {}): Promise<unknown[]> {
  const { hubUrl = 'https://huggingface.co', fetch: get = fetch, signal } = options
  const { name, config, split } = task.dataset
  const url = `${hubUrl}/datasets/${name}/resolve/refs%2Fconvert%2Fparquet/${config}/${split}/0000.parquet`
  const failed = (reason: string, cause?: unknown) =>
    new ReallmError('io', `${task.name}: ${url} cannot be read (${reason})`, {
      hint: `download the ${split} split of ${name} elsewhere, and give --task-data DIR with ${task.name}.parquet or .jsonl in it`,
      cause,
    })
  let answer: Response
  try {
    answer = await get(url, { signal: signal ?? null })
  } catch (cause) {
    throw failed(cause instanceof Error ? cause.message : String(cause), cause)
  }
  if (!answer.ok) throw failed(`status ${answer.status}`)
  if (Number(answer.headers.get('content-length') ?? 0) > largest) throw failed('more than 1 GiB')
  return documentsOf(`${task.name}.parquet`, new Uint8Array(await answer.arrayBuffer()))
}

async function parquetRows(name: string, bytes: Uint8Array): Promise<unknown[]> {
  const { parquetReadObjects } = await import('hyparquet')
  try {
    return await parquetReadObjects({ file: bytes.slice().buffer as ArrayBuffer })
  } catch (cause) {
    throw new ReallmError('bad-file', `${name} cannot be read as Parquet: ${(cause as Error).message}`, {
      cause,
    })
  }
}
