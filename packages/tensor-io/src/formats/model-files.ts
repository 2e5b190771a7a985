import type { Registry } from '../codec/registry.ts'
import type { OnProgress } from '../core/progress.ts'
import type { Artifact } from './artifact/artifact.ts'
import type { Rows, TensorStore } from './store.ts'

/** Beside a model: the folder of its chat templates besides the default one. */
export const templateFolder = 'additional_chat_templates'

/** The folder of ONNX models, as transformers.js has it. With that of chat templates the only one that is looked into. */
export const onnxFolder = 'onnx'

/** A model wherever it lives: a Hugging Face directory, a GGUF or safetensors file, an artifact, an ONNX directory, `hf:`, `npm:`. */
export interface ModelFiles extends TensorStore {
  readonly spec: string
  readonly kind: 'huggingface' | 'gguf' | 'safetensors' | 'artifact' | 'onnx'
  /** Sum of the weight files, in bytes. */
  readonly bytes: number
  /** Contents of `config.json`; for GGUF empty, see `metadata`. */
  readonly config: Readonly<Record<string, unknown>>
  /** GGUF or safetensors metadata. */
  readonly metadata: Readonly<Record<string, unknown>>
  /** Names of the small files beside the weights (`tokenizer.json`, `generation_config.json`, …). */
  readonly files: readonly string[]
  readFile(name: string): Promise<Uint8Array<ArrayBuffer>>
  /** What was found beside the weights and not read, in sentences. */
  readonly warnings?: readonly string[] | undefined
  /** Of weights that another tool quantised and that read decoded: the tool and its settings. */
  readonly quantised?: string | undefined
  /** Of an artifact: its matrices as they are stored. */
  readonly artifact?: Artifact | undefined
  /** Of GGUF: the bytes of a tensor as they are stored, or those of rows `from` to `to` (exclusive) of its first axis. */
  readonly readBlocks?: ((name: string, rows?: Rows) => Promise<Uint8Array<ArrayBuffer>>) | undefined
}

/** Options of `openModel`. */
export interface OpenOptions {
  /** Codecs to decode an artifact's matrices with: `<module>.weight` then reads as if it were stored plainly. */
  readonly registry?: Registry | undefined
  /**
   * Whether the checksums of an artifact's shards are compared, which reads all of them; sizes always are. Unless
   * told otherwise: for files on disk of less than 1 GB in all; of files that come from elsewhere, each block is compared
   * when it is read.
   */
  readonly verify?: boolean | undefined
  /**
   * Opens only what `reallm pack --sign` signed: an Ed25519 key, in PEM or base64 (SubjectPublicKeyInfo). All that is
   * read is compared with the signature.
   */
  readonly publicKey?: string | undefined
  /**
   * Names of the files in a directory behind a URL: nothing else is asked for. Artifacts list theirs; of other models the usual
   * names are tried without it.
   */
  readonly files?: readonly string[] | undefined
  /** Opens the adapter in PEFT's layout, also where a model lies beside it. */
  readonly adapter?: boolean | undefined
  /** Stops opening and downloading. */
  readonly signal?: AbortSignal | undefined
  /** Told of downloads (`file-start`, `bytes-read`, `file-end`) and of what is not used (`warning`). */
  readonly onProgress?: OnProgress | undefined
  /** For http(s) URLs and the hub, instead of the global `fetch`. */
  readonly fetch?: typeof fetch | undefined
  /**
   * Where `npm:` packages are served, for example `https://cdn.jsdelivr.net/npm/`; in a page it may be relative to it.
   * Without it they are looked for in `node_modules`.
   */
  readonly base?: string | undefined
  /** Where `hf:` downloads from; the Hugging Face hub unless told otherwise. */
  readonly hubUrl?: string | undefined
  /** Where `hf:` downloads to; the cache that Python's huggingface_hub uses unless told otherwise. */
  readonly cacheDir?: string | undefined
  /** For gated and private models of `hf:`; in Node `HF_TOKEN` unless told otherwise. */
  readonly accessToken?: string | undefined
}
