import { Interpreter } from '@huggingface/jinja'

/** An expression, and the parts of it that name what is called. */
interface Node {
  readonly type?: string
  readonly value?: string
  readonly callee?: Node
  readonly filter?: Node
  readonly property?: Node
  readonly iterable?: Node
  readonly lhs?: Node
}

interface Value {
  readonly type: string
  readonly value: unknown
}

/** What is used of the library's interpreter; TypeScript does not find its types. */
interface Runs {
  run(program: unknown): Value
  evaluate(node: Node | undefined, environment: unknown): Value
}
const Unbounded: new (environment: unknown) => Runs = Interpreter

/** What a template may use. */
export interface TemplateBudget {
  /** Evaluated expressions, entries walked, and texts copied (64 characters are a step). */
  readonly steps: number
  /** Characters of any value, and of all values inside one statement. */
  readonly text: number
}

/** The expression that is evaluated, and what its parts came to. */
interface Frame {
  readonly type: string
  /** What a loop goes through. */
  readonly iterable: Node | undefined
  readonly multiplies: boolean
  total: number
  /** The largest part, as a factor. */
  largest: number
}

/** Filters and methods whose result can be as long as the product of two parts. */
const multiplying = new Set(['replace', 'join', 'indent', 'tojson'])

/** Expressions that only look into a namespace, or pass it on. */
const holdsNamespaces = new Set(['', 'Set', 'MemberExpression', 'CallExpression', 'TestExpression'])

/** Steps that a round of a loop takes besides those of its body. */
const ROUND = 16

/** Runs templates within a budget; throws what `refuse` makes of a reason. */
export class BoundedInterpreter extends Unbounded {
  readonly #budget: TemplateBudget
  readonly #refuse: (reason: string) => Error
  readonly #sizes = new WeakMap<Value, number>()
  #steps = 0
  #frame = frameOf()

  constructor(environment: unknown, budget: TemplateBudget, refuse: (reason: string) => Error) {
    super(environment)
    this.#budget = budget
    this.#refuse = refuse
  }

  override evaluate(node: Node | undefined, environment: unknown): Value {
    const outer = this.#frame
    const frame = frameOf(node)
    this.#spend(1)
    this.#frame = frame
    let value: Value
    try {
      value = super.evaluate(node, environment)
    } finally {
      this.#frame = outer
    }
    this.#add(outer, frame, node, value)
    return value
  }

  /** Counts a part of an expression. */
  #add(outer: Frame, inner: Frame, node: Node | undefined, value: Value): void {
    const entries = entriesOf(value)
    if (node !== undefined && node === outer.iterable) {
      this.#spend(ROUND * entries)
      return
    }
    if (outer.type === 'MemberExpression' && !outer.multiplies) return
    const size = value.type === 'NamespaceValue' && holdsNamespaces.has(outer.type) ? 1 : this.#sizeOf(value)
    outer.total += size
    if (outer.total > this.#budget.text) throw this.#tooLong()
    this.#spend(Math.max(entries, size >> 6))
    if (!outer.multiplies) return
    // a method is as long as what it belongs to
    const length = value.type === 'FunctionValue' ? inner.largest : size
    const factor = typeof value.value === 'number' ? Math.abs(value.value) : length
    if (factor * outer.largest > 16 * this.#budget.text) throw this.#tooLong()
    outer.largest = Math.max(outer.largest, factor)
  }

  #spend(steps: number): void {
    this.#steps += steps
    if (this.#steps > this.#budget.steps) throw this.#refuse('it takes too many steps: does it end?')
  }

  #tooLong(): Error {
    return this.#refuse(`it makes texts of more than ${this.#budget.text} characters`)
  }

  /** Characters of a value when it is written, about. */
  #sizeOf(value: Value): number {
    const content = value.value
    if (typeof content === 'string') return content.length
    // what a namespace holds can change later, so its length is never known
    if (value.type === 'NamespaceValue') throw this.#refuse('it writes a namespace, or puts one in a list')
    if (typeof content !== 'object' || content === null) return 1
    const known = this.#sizes.get(value)
    if (known !== undefined) return known
    let size = 2
    if (Array.isArray(content)) for (const each of content) size += 2 + this.#sizeOf(each)
    if (content instanceof Map) for (const [key, each] of content) size += 6 + key.length + this.#sizeOf(each)
    this.#sizes.set(value, size)
    return size
  }
}

function frameOf({ type = '', callee, filter, property, iterable }: Node = {}): Frame {
  const slices = type === 'MemberExpression' && property?.type === 'SliceExpression'
  const name = (filter?.callee ?? filter ?? callee?.property ?? property)?.value
  return {
    type: slices ? 'SliceExpression' : type,
    iterable: iterable?.lhs ?? iterable,
    multiplies: name !== undefined && multiplying.has(name),
    total: 0,
    largest: 1,
  }
}

/** Entries that are walked when a value is gone through. */
function entriesOf({ value }: { readonly value: unknown }): number {
  return Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0
}
