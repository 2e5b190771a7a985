import { ReallmError } from '@reallm/tensor-io'

/** Largest content of an archive that a page unpacks. */
const largestArchive = 2e9

const isModelFile = (name: string): boolean =>
  /\.(safetensors|gguf|json|model|jinja|txt)$|-part-\d+-of-\d+\.bin$/i.test(name)
/** An index stands for weights that lie in parts. */
const isWeights = (name: string): boolean =>
  /\.(safetensors|gguf)$|^model\.safetensors\.index\.json$/i.test(name)

/** What somebody chose or dropped. */
export interface GivenFiles {
  readonly files: readonly File[]
  /** Name of the folder that they were in, where that is known. */
  readonly folder?: string | undefined
}

/** What was chosen: files, or those at the top of a folder. */
export function chosenFiles(list: Iterable<File>): GivenFiles {
  const files = [...list].filter(({ webkitRelativePath: path }) => path.split('/').length <= 2)
  return { files, folder: files[0]?.webkitRelativePath.split('/')[0] || undefined }
}

/** What was dropped: files, and those at the top of folders. */
export async function droppedFiles(items: DataTransferItemList): Promise<GivenFiles> {
  const entries = [...items].map(item => item.webkitGetAsEntry()).filter(entry => entry !== null)
  const files: File[] = []
  for (const entry of entries) {
    const within = entry.isDirectory ? await childrenOf(entry as FileSystemDirectoryEntry) : [entry]
    for (const file of within) if (file.isFile) files.push(await fileOf(file as FileSystemFileEntry))
  }
  return { files, folder: entries.find(entry => entry.isDirectory)?.name }
}

/** What a model of these files is called: as its folder, its archive, or the first of its weights. */
export function nameOf({ files, folder }: GivenFiles): string {
  const named = files.find(({ name }) => /\.zip$/i.test(name)) ?? files.find(({ name }) => isWeights(name))
  return folder ?? (named ?? files[0]).name
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> =>
  new Promise((resolve, reject) => entry.file(resolve, reject))

/** A directory's reader gives its entries in portions, the last of them empty. */
async function childrenOf(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader()
  const all: FileSystemEntry[] = []
  for (;;) {
    const portion = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    )
    if (portion.length === 0) return all
    all.push(...portion)
  }
}

/**
 * The files of a model among others: those of a zip archive are unpacked, README and the like are left out.
 *
 * @throws `unsupported` when none of them holds weights; `bad-file` for an archive that cannot be read or is too large
 */
export async function modelFilesAmong(files: readonly File[]): Promise<File[]> {
  const unpacked: File[] = []
  for (const file of files) unpacked.push(...(/\.zip$/i.test(file.name) ? await unzipped(file) : [file]))
  const found = unpacked.filter(({ name }) => isModelFile(name))
  if (found.some(({ name }) => isWeights(name))) return found
  const named = unpacked.length === 1 ? unpacked[0].name : `${unpacked.length} files`
  throw new ReallmError('unsupported', `${named}: there is neither a .safetensors nor a .gguf file`, {
    hint: 'drop one of these, a folder or zip that has one, or all files of a Hugging Face directory together',
  })
}

async function unzipped(file: File): Promise<File[]> {
  const { unzipSync } = await import('fflate')
  let total = 0
  try {
    const entries = unzipSync(new Uint8Array(await file.arrayBuffer()), {
      filter: ({ name, originalSize }) => {
        if (!isModelFile(name)) return false
        total += originalSize
        if (total > largestArchive) throw new Error(`it holds more than ${largestArchive / 1e9} GB`)
        return true
      },
    })
    return Object.entries(entries).map(
      ([path, bytes]) => new File([bytes as Uint8Array<ArrayBuffer>], path.slice(path.lastIndexOf('/') + 1)),
    )
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new ReallmError('bad-file', `${file.name} cannot be unpacked: ${reason}`, { cause })
  }
}
