import type { Field } from './fields.ts'

/** A continuation whose likelihood after a context is asked for. */
export interface Request {
  readonly context: string
  readonly continuation: string
}

/** One question: the likelihoods it asks for, and which of them is right. */
export interface Item {
  readonly requests: readonly Request[]
  /** Index of the right request. */
  readonly gold: number
  /** Characters of each choice, which `acc_norm` divides its log-likelihood by. */
  readonly lengths: readonly number[]
}

/** Where the documents of a task are on the Hugging Face hub. */
export interface Dataset {
  readonly name: string
  readonly config: string
  readonly split: string
}

/** A zero-shot benchmark in the definition of EleutherAI's lm-evaluation-harness, under its name there. */
export interface Task {
  readonly name: string
  readonly what: string
  /** `choices`: the likeliest of several; `word`: the last word of a text, which also has a perplexity. */
  readonly kind: 'choices' | 'word'
  readonly dataset: Dataset
  /** What a document asks; fields that are missing throw `bad-file`. */
  item(field: Field): Item
}
