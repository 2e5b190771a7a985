/** Artifacts kept in the browser's own file system (OPFS). */
const root = async () =>
  (await navigator.storage.getDirectory()).getDirectoryHandle('reallm', { create: true })

export interface KeptModel {
  readonly name: string
  readonly bytes: number
}

export async function keep(name: string, files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): Promise<void> {
  const folder = await (await root()).getDirectoryHandle(name, { create: true })
  for (const [file, bytes] of files) {
    const writer = await (await folder.getFileHandle(file, { create: true })).createWritable()
    await writer.write(bytes)
    await writer.close()
  }
}

/** Files of a model that was kept. */
export async function keptFiles(name: string): Promise<File[]> {
  const folder = await (await root()).getDirectoryHandle(name)
  const files: File[] = []
  for await (const entry of folder.values()) {
    if (entry.kind === 'file') files.push(await (entry as FileSystemFileHandle).getFile())
  }
  return files
}

export async function listKept(): Promise<KeptModel[]> {
  const models: KeptModel[] = []
  for await (const { name } of (await root()).values()) {
    const files = await keptFiles(name)
    models.push({ name, bytes: files.reduce((sum, { size }) => sum + size, 0) })
  }
  return models
}

export const forget = async (name: string): Promise<void> =>
  (await root()).removeEntry(name, { recursive: true })
