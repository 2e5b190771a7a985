/** What this package uses of TensorFlow.js; the library itself is the caller's. */
export interface TensorInfo {
  readonly dataId: object
  readonly shape: number[]
  readonly dtype: string
}

type Inputs = Readonly<Record<string, TensorInfo | undefined>>
type Attributes = Readonly<Record<string, unknown>>

/** The wasm backend: tensors live in its memory. */
export interface WasmBackend {
  makeOutput(shape: number[], dtype: 'float32'): TensorInfo
  /** Counts one more tensor of the same values. */
  incRef(dataId: object): void
  typedArrayFromHeap(info: TensorInfo): Float32Array | Int32Array | Uint8Array
}

export interface KernelCall {
  readonly inputs: Inputs
  readonly attrs: Attributes
  readonly backend: WasmBackend
}

export type KernelFunction = (call: KernelCall) => TensorInfo | TensorInfo[]

/** The `tf` object of `@tensorflow/tfjs`, as far as it is used. */
export interface TfLibrary {
  getKernel(name: string, backend: string): { readonly kernelFunc: unknown } | undefined
  // biome-ignore lint/suspicious/noExplicitAny: tfjs's own types of a kernel are wider than what its kernels get
  registerKernel(config: any): void
  unregisterKernel(name: string, backend: string): void
}

/** The float values of a tensor, a view of the backend's memory. */
export const floatsOf = (backend: WasmBackend, info: TensorInfo): Float32Array =>
  backend.typedArrayFromHeap(info) as Float32Array
