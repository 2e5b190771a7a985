import type { TokenConstraint } from '@reallm/tensor-io'
import { type Place, startOf } from './matcher.ts'
import type { Rule } from './rule.ts'
import type { Vocabulary } from './vocabulary.ts'

/** Holds a text to a grammar: for one text, from its start. */
export class GrammarConstraint implements TokenConstraint {
  readonly #vocabulary: Vocabulary
  #place: Place

  constructor(rule: Rule, vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary
    this.#place = startOf(rule)
  }

  allows(id: number): boolean {
    if (this.#vocabulary.eos.has(id)) return this.#place.canEnd
    return this.#vocabulary.after(this.#place, id) !== undefined
  }

  allowed(): readonly number[] {
    return this.#vocabulary.allowed(this.#place)
  }

  accept(id: number): void {
    this.#place = this.#vocabulary.after(this.#place, id) ?? this.#place
  }
}
