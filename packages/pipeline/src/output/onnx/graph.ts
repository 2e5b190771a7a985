import { onnxTypes } from '@reallm/tensor-io'
import { type Bytes, float, integer, message, string } from './protobuf.ts'

type ElementType = keyof typeof onnxTypes

/** A constant of a graph; its bytes are read when the file is written. */
export interface Initializer {
  readonly name: string
  readonly type: ElementType
  readonly dims: readonly number[]
  readonly bytes: number
  read(): Promise<Bytes>
}

/** What goes in or out of a graph; an axis is its length, or the name of one that varies. */
export interface Port {
  readonly name: string
  readonly type: ElementType
  readonly dims: readonly (number | string)[]
}

export type Attribute = number | { readonly float: number } | { readonly text: string } | readonly number[]

/** A graph of operators as it is built: each call of `node` adds one and names its output. */
export class Graph {
  readonly nodes: Bytes[] = []
  readonly initializers: Initializer[] = []
  readonly inputs: Port[] = []
  readonly outputs: Port[] = []
  readonly #known = new Set<string>()

  /**
   * Adds an operator of ONNX, or, as `com.microsoft.Name`, of ONNX Runtime, and returns the name of its output.
   *
   * @param inputs '' for one that is left out
   */
  node(
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    outputs: readonly string[] = [`${operator.split('.').at(-1)}_${this.nodes.length}`],
  ): string {
    const dot = operator.lastIndexOf('.')
    this.nodes.push(
      message(1, [
        ...inputs.map(name => string(1, name)),
        ...outputs.map(name => string(2, name)),
        string(3, outputs[0]),
        string(4, operator.slice(dot + 1)),
        ...Object.entries(attributes).map(([name, value]) => attribute(name, value)),
        ...(dot < 0 ? [] : [string(7, operator.slice(0, dot))]),
      ]),
    )
    return outputs[0]
  }

  /** Adds a constant, once for each name, and returns that. */
  constant(initializer: Initializer): string {
    if (!this.#known.has(initializer.name)) this.initializers.push(initializer)
    this.#known.add(initializer.name)
    return initializer.name
  }

  /** A constant of a few numbers. */
  numbers(
    name: string,
    values: readonly number[],
    type: 'int64' | 'float' = 'int64',
    dims = [values.length],
  ): string {
    const data =
      type === 'float' ? Float32Array.from(values) : BigInt64Array.from(values, value => BigInt(value))
    const bytes = new Uint8Array(data.buffer)
    return this.constant({ name, type, dims, bytes: bytes.length, read: async () => bytes })
  }
}

function attribute(name: string, value: Attribute): Bytes {
  const numbers = { float: 1, int: 2, text: 3, ints: 7 }
  const [type, ...parts] =
    typeof value === 'number'
      ? [numbers.int, integer(3, value)]
      : 'float' in value
        ? [numbers.float, float(2, value.float)]
        : 'text' in value
          ? [numbers.text, string(4, value.text)]
          : [numbers.ints, ...value.map(number => integer(8, number))]
  return message(5, [string(1, name), ...(parts as Bytes[]), integer(20, type as number)])
}

/** An input or output, as field `field` of a graph. */
export const port = (field: number, { name, type, dims }: Port): Bytes => {
  const shape = dims.map(dim => message(1, [typeof dim === 'number' ? integer(1, dim) : string(2, dim)]))
  return message(field, [
    string(1, name),
    message(2, [message(1, [integer(1, onnxTypes[type].number), message(2, shape)])]),
  ])
}
