/**
 * Twenty everyday prompts, answered by an original and by what was made of it, always with the likeliest token:
 *
 *   npx tsx --conditions=@reallm/source tools/bench/prompts.ts ORIGINAL COMPRESSED [--tokens 64] [--record]
 */
import { parseArgs } from 'node:util'
import { splitShared } from '../../docs/.vitepress/theme/shared/split-shared.ts'
import { load } from '../../packages/reallm/src/index.ts'
import { packages, startBench } from '../results/record.ts'

/** Chosen before any answer was seen. */
const prompts = [
  'What is the capital of France?',
  'Write a short thank-you note to a neighbour who watered my plants.',
  'Explain photosynthesis to a ten-year-old.',
  'Give me three tips for sleeping better.',
  'Write a haiku about autumn.',
  'What is the difference between weather and climate?',
  'How do I boil an egg?',
  'Summarise in one sentence: The meeting was moved from Monday to Thursday because the projector is broken.',
  'Translate "good morning" into Spanish.',
  'What is 12 plus 30?',
  'List five fruits that are red.',
  'Write a polite email asking for a day off.',
  'Why is the sky blue?',
  'Correct this sentence: She go to school every days.',
  'Name a good first programming language and say why.',
  'Write a two-sentence story about a lost dog.',
  'What should I pack for a weekend in the mountains?',
  'How many days are in a leap year?',
  'Give me a simple recipe for pancakes.',
  'What does a JavaScript function return when it has no return statement?',
]

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { tokens: { type: 'string', default: '64' } },
})
const [original, compressed] = positionals
if (!original || !compressed) throw new Error('needs the original and the compressed model')

const finish = startBench({
  name: 'prompts',
  what: 'Greedy answers of SmolLM2-135M-Instruct and of @reallm/smollm2 to twenty everyday prompts.',
  sources: packages('tensor-io', 'kernels', 'runtime'),
  columns: {
    prompt: { label: 'prompt' },
    original: { label: 'original' },
    compressed: { label: 'compressed' },
    same: { label: 'words until the first that differs', unit: 'words', digits: 0 },
    words: { label: 'words of the original', unit: 'words', digits: 0 },
  },
  key: ['prompt'],
  seed: null,
})

const [ours, theirs] = [await answersOf(compressed), await answersOf(original)]
finish(
  prompts.map((prompt, i) => ({
    prompt,
    original: theirs[i],
    compressed: ours[i],
    same: wordsOf(splitShared(ours[i], theirs[i]).same),
    words: wordsOf(theirs[i]),
  })),
)

function wordsOf(text: string): number {
  return text.match(/\S+/g)?.length ?? 0
}

async function answersOf(spec: string): Promise<string[]> {
  const model = await load(spec)
  const answers: string[] = []
  for (const prompt of prompts) {
    const chat = model.chat()
    answers.push(await chat.send(prompt, { maxTokens: Number(values.tokens), temperature: 0 }).text())
    chat.dispose()
  }
  model.dispose()
  return answers
}
