import type { LongWork, Registry } from '@reallm/tensor-io'
import type { TextTokenizer } from '@reallm/tensor-io/models'
import type { Device } from './backend/open-backend.ts'
import type { WeightForm } from './backend/weight.ts'

/** Options of `load`. */
export interface LoadOptions extends LongWork {
  /** What it runs on, see {@link Device}. Default `wasm`. */
  readonly device?: Device | undefined
  /**
   * How matrices are held, see {@link WeightForm}. Default: the quickest form that `maxMemory` allows.
   */
  readonly weights?: WeightForm | undefined
  /**
   * How keys and values are held: `int8` takes a quarter of the memory of `f32` on `wasm`, half of it (floats of 16 bits) on
   * `webgpu`, and is faster in long texts. Default `int8`, and `f32` with `weights: 'f32'`.
   */
  readonly kvCache?: 'f32' | 'int8' | undefined
  /** Bytes that weights may take; default 2 GiB, of the 4 GiB that WebAssembly can address. */
  readonly maxMemory?: number | undefined
  /** Threads in all; default 1. Fewer start where memory cannot be shared (pages that are not cross-origin isolated). */
  readonly threads?: number | undefined
  /**
   * Whether a page keeps what it fetched, checked by SHA-256 when it is read again; a text names the cache. Default
   * true; without effect outside of pages.
   */
  readonly cache?: boolean | string | undefined
  /**
   * Where `npm:` packages are served: `https://cdn.jsdelivr.net/npm/` or any other CDN; in a page it may be relative to it.
   * In Node they are looked for in `node_modules` without it.
   */
  readonly base?: string | undefined
  /** Names of the files in a directory behind a URL, see `openModel`; artifacts list theirs. */
  readonly files?: readonly string[] | undefined
  /**
   * Loads only what `reallm pack --sign` signed with the private key of this one: Ed25519, in PEM or base64. All that is
   * read is compared with the signature.
   */
  readonly publicKey?: string | undefined
  /** `false` leaves it out: prompts are token ids then. Default: the model's own. */
  readonly tokenizer?: TextTokenizer | false | undefined
  /** For codecs that this package cannot run by itself. */
  readonly registry?: Registry | undefined
  readonly worker?: false | undefined
}

/** Options of `load` in a Worker: what can be sent there. */
export interface WorkerLoadOptions extends Omit<LoadOptions, 'registry' | 'tokenizer' | 'worker'> {
  /**
   * `true` starts a Worker, in a page or in Node, whose script comes with this package. In a page also one of yours, which calls
   * `serveModel()` of `@reallm/runtime/worker`. It ends with the model.
   */
  readonly worker: true | Worker
  /** `false` leaves it out: prompts are token ids then. */
  readonly tokenizer?: false | undefined
}
