export interface SharedParts {
  /** What both texts begin with, to the end of a word. */
  readonly same: string
  /** The first word of this text that the other has not. */
  readonly first: string
  readonly rest: string
}

/** Splits a text where it begins to differ from another, word by word. */
export function splitShared(text: string, other: string): SharedParts {
  const [words, others] = [text, other].map(t => t.match(/\s*\S+|\s+$/g) ?? [])
  const differs = words.findIndex((word, i) => word !== others[i])
  if (differs < 0) return { same: text, first: '', rest: '' }
  return {
    same: words.slice(0, differs).join(''),
    first: words[differs],
    rest: words.slice(differs + 1).join(''),
  }
}
