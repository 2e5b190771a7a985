// Writes the calibration text that @reallm/pipeline uses when none is given: excerpts of the training part.
// Run: npx tsx --conditions=@reallm/source tools/tiny/calibration.ts
import { writeFileSync } from 'node:fs'
import { type Document, readCorpus } from './corpus.ts'

const excerptLength = 3000

/** About `excerptLength` characters from the middle of a document, from a paragraph's start to a sentence's end. */
function excerpt({ text }: Document): string {
  const middle = Math.max(0, Math.floor(text.length / 2 - excerptLength / 2))
  const start = middle === 0 ? 0 : text.indexOf('\n\n', middle) + 1
  const part = text.slice(start, start + excerptLength)
  return part.slice(0, part.lastIndexOf('. ') + 1).trim()
}

const { train } = readCorpus()
const speeches = train.filter(({ name }) => /^(19[3-9]\d|20\d\d)_/.test(name))
const chapters = train.filter(({ name }, i) => name.startsWith('chapter') && i % 4 === 0)
const excerpts: string[] = []
for (let i = 0; i < Math.max(speeches.length, chapters.length); i++) {
  for (const documents of [speeches, chapters]) if (documents[i]) excerpts.push(excerpt(documents[i]))
}
writeFileSync(
  new URL('../../packages/pipeline/calibration.txt', import.meta.url),
  `${excerpts.join('\n\n')}\n`,
)
