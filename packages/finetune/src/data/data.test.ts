import { type ByteSource, bytesSource } from '@reallm/tensor-io'
import { charTokenizer as tokenizer } from '@reallm/testing'
import { expect, test } from 'vitest'
import { type DataOptions, openData, readSequences, tokenise } from './index.ts'

const file = (contents: string, name = 'data.txt') => bytesSource(name, new TextEncoder().encode(contents))

async function examplesOf(source: ByteSource) {
  const examples = []
  for await (const piece of (await openData(source)).pieces()) examples.push(piece.example())
  return examples
}

const sequencesOf = (contents: string, options: Partial<DataOptions>, name?: string) =>
  readSequences(file(contents, name), tokenizer, { length: 20, seed: 1, ...options })

const lines = (values: readonly unknown[]) => values.map(value => JSON.stringify(value)).join('\n')

const learned = (sequence: ReturnType<typeof tokenise>) =>
  tokenizer.decode(
    Array.from(sequence.ids).filter((_, i) => sequence.weights[i] === 1),
    { special: true },
  )

/** A file of one line over and over, which exists as far as it is read only; `reads` has the bytes of each read. */
function repeated(name: string, line: string, times: number) {
  const bytes = new TextEncoder().encode(line)
  const tile = new TextEncoder().encode(line.repeat(2 + Math.ceil((1 << 16) / bytes.length)))
  const reads: number[] = []
  const source: ByteSource = {
    name,
    size: times * bytes.length,
    async read(start, end) {
      reads.push(end - start)
      const phase = start % bytes.length
      return tile.slice(phase, phase + end - start)
    },
    close: async () => {},
  }
  return { source, reads }
}

test('JSON lines of all three kinds are read; a text file is one text', async () => {
  const kinds = [
    { text: 'a' },
    { prompt: 'p', completion: 'c' },
    {
      messages: [
        { role: 'user', content: 'u' },
        { role: 'assistant', content: 'a' },
      ],
    },
  ]
  expect(await examplesOf(file(`\ufeff${lines(kinds).replaceAll('\n', '\r\n\r\n')}\r\n`))).toEqual(kinds)
  expect(await examplesOf(file('Call me\r\nIshmael.'))).toEqual([{ text: 'Call me\nIshmael.' }])
})

test('a file that does not fit is refused by name and line', async () => {
  const refused = (contents: string, name: string) => expect(examplesOf(file(contents, name))).rejects
  await refused('{"text": "a"}\n{"txt": 1}', 'd.jsonl').toThrow(/d\.jsonl, line 2 has neither text/)
  await refused('{"text": "a"}\n\n{oops', 'd.jsonl').toThrow('d.jsonl, line 3 is not JSON')
  await refused('{"messages": [{"role": "user", "content": "u"}]}', 'd').toThrow(/nothing to learn/)
  await refused(' \n', 'd').toThrow('d is empty')
  await refused('', 'd').toThrow('d is empty')
  // far behind the first block, and before anything is tokenised
  const many = `${'{"text": "The whale"}\n'.repeat(10_000)}{oops\n`
  await expect(sequencesOf(many, {}, 'many.jsonl')).rejects.toThrow('many.jsonl, line 10001 is not JSON')
})

test('JSON that is not one object per line is refused, whatever the file is called', async () => {
  const refused = (contents: string, name: string) => expect(examplesOf(file(contents, name))).rejects
  const rows = [{ text: 'a' }, { text: 'b' }]
  for (const name of ['d.json', 'd.jsonl', 'd.txt']) {
    await refused(JSON.stringify(rows), name).toThrow(`${name} is a JSON array, not one JSON object per line`)
    await refused(JSON.stringify(rows, null, 2), name).toThrow(`${name} is a JSON array`)
    await refused(JSON.stringify({ rows }, null, 2), name).toThrow('one JSON object over several lines')
  }
  expect(await examplesOf(file('[1] The whale {white}'))).toEqual([{ text: '[1] The whale {white}' }])
  expect(await examplesOf(file('[\nThe whale'))).toEqual([{ text: '[\nThe whale' }])
})

test('what is not UTF-8 is refused by its line, characters over the edges of blocks are not', async () => {
  const text = `${'é'.repeat(70_000)}\n${'ü is a letter\n'.repeat(9000)}`
  const bytes = new TextEncoder().encode(text)
  const read = await examplesOf(bytesSource('d.txt', bytes))
  expect(read.map(e => ('text' in e ? e.text : '')).join('')).toBe(text)
  bytes[bytes.length - 20] = 0xff
  await expect(examplesOf(bytesSource('d.txt', bytes))).rejects.toThrow('d.txt, line 9000 is not UTF-8')
  const wide = Uint8Array.from(
    [...'\ufeffThe whale'].flatMap(c => [c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8]),
  )
  await expect(examplesOf(bytesSource('d.txt', wide))).rejects.toThrow('d.txt is UTF-16: save it as UTF-8')
})

test('the loss is on completions and on what the assistant says, ends included', () => {
  expect(learned(tokenise({ prompt: 'one ', completion: 'two' }, tokenizer))).toBe('two<end>')
  const messages = [
    { role: 'user', content: 'hi' },
    { role: 'assistant', content: 'ho' },
    { role: 'user', content: 'hm' },
    { role: 'assistant', content: 'ha' },
  ]
  const sequence = tokenise({ messages }, tokenizer)
  expect(learned(sequence)).toBe('ho<end>ha<end>')
  expect(tokenizer.decode(Array.from(sequence.ids), { special: true })).toBe(
    tokenizer.chat(messages, { answer: false }),
  )
})

test('of packed conversations the answers alone are learned, in whichever sequence they are', async () => {
  const talk = (i: number) => ({
    messages: [
      { role: 'user', content: `what is ${i}?` },
      { role: 'assistant', content: `<<${i}>>` },
    ],
  })
  const talks = lines(Array.from({ length: 30 }, (_, i) => talk(i)))
  const { train, validation } = await sequencesOf(talks, { length: 25, validation: 0.2 })
  const parts = [...train, ...validation].map(({ ids, weights }) =>
    // neighbours share the token at the edge, which is predicted in the first of them
    learned({ ids: Int32Array.from(ids).subarray(1), weights: Uint8Array.from(weights!).subarray(1) }),
  )
  expect(parts.join('')).toMatch(/^(<<\d+>>|<end>|<|>|\d)+$/)
  const scored = parts.join('').match(/<<\d+>><end>/g)!
  expect(new Set(scored).size).toBeGreaterThan(25)
})

test('packing fills sequences, without it every example has its own; validation examples stay apart', async () => {
  const examples = lines(Array.from({ length: 40 }, (_, i) => ({ prompt: `p${i}`, completion: `c${i}` })))
  const packed = await sequencesOf(examples, { validation: 0.1 })
  expect(packed.train.every(w => w.ids.length === 21 && w.weights!.length === 21)).toBe(true)
  const single = await sequencesOf(examples, { validation: 0.1, packing: false })
  expect([single.train.length, single.validation.length]).toEqual([36, 4])
  const texts = [...single.train, ...single.validation].map(w => tokenizer.decode(Array.from(w.ids)))
  expect(new Set(texts).size).toBe(40)
  const other = await sequencesOf(examples, { validation: 0.1, packing: false, seed: 2 })
  expect(other.validation).not.toEqual(single.validation)
  expect(await sequencesOf(examples, { validation: 0.1, packing: false })).toEqual(single)
})

test('of one text the last sequences validate; too little text is refused', async () => {
  const { train, validation } = await sequencesOf('abcdefghij'.repeat(21), { length: 10, validation: 0.2 })
  expect([train.length, validation.length]).toEqual([17, 4])
  await expect(sequencesOf('short', { length: 10 })).rejects.toThrow(/too little/)
})

test('a text that is read in stretches has the sequences of the whole', async () => {
  const text = Array.from({ length: 40_000 }, (_, i) => `word${i % 97}${i % 11 ? '' : ' \n = '}`).join(' ')
  const { train, validation } = await sequencesOf(text, { length: 50 })
  const whole = tokenise({ text }, tokenizer).ids
  const read = [...train, ...validation].flatMap(({ ids }) => Array.from(ids).slice(0, -1))
  expect(read).toEqual(Array.from(whole.subarray(0, read.length)))
  expect(whole.length - read.length).toBeLessThanOrEqual(50)
})

test.each([
  ['sea.txt', `${'The whale swam on, and nobody saw it again. '.repeat(9)}\n`],
  ['sea.jsonl', `{"prompt": "The", "completion": "${' whale'.repeat(60)}"}\n`],
])('of a very large %s only what is wanted is held, read piece by piece', async (name, line) => {
  const { source, reads } = repeated(name, line, 60_000)
  const quick = {
    ...tokenizer,
    encode: (text: string) => Array.from(text, character => character.charCodeAt(0) % 95),
  }
  const progress: number[] = []
  const options = {
    ...{ length: 64, seed: 1, wanted: 100 },
    onProgress: ({ done, total }: { done: number; total: number }) => void progress.push(done / total),
  }
  const { train, validation } = await readSequences(source, quick, options)
  expect(Math.max(...reads)).toBeLessThanOrEqual(1 << 16)
  const tokens = [...train, ...validation].reduce((sum, { ids }) => sum + ids.length, 0)
  expect(tokens).toBeLessThan(source.size / 8)
  expect(train.length).toBeGreaterThan(100)
  expect(validation.length).toBeGreaterThan(8)
  expect(progress.at(-1)).toBeCloseTo(1, 1)
})

const question = (i: number, words: number) => ({ prompt: `${i} ${'why '.repeat(words)}`, completion: 'yes' })

test('prompts that fill the sequence are shortened from their front, and the first is named', async () => {
  for (const packing of [true, false]) {
    const events: unknown[] = []
    const onProgress: DataOptions['onProgress'] = event => void (event.name && events.push(event))
    const mixed = lines(Array.from({ length: 20 }, (_, i) => question(i, i === 3 || i === 7 ? 10 : 1)))
    const { train, validation } = await sequencesOf(mixed, { length: 32, packing, onProgress }, 'mixed.jsonl')
    const name = 'mixed.jsonl, line 4, whose prompt fills the sequence of 32 tokens (45 hold it)'
    expect(events).toEqual([{ event: 'prompts-shortened', name, done: 2, total: 20 }])
    expect(validation.length).toBeGreaterThan(0)
    for (const { weights } of [...train, ...validation]) expect(Array.from(weights!).slice(1)).toContain(1)
    if (packing) continue
    expect(train.length + validation.length).toBe(20)
    const texts = [...train, ...validation].map(({ ids }) =>
      tokenizer.decode(Array.from(ids), { special: true }),
    )
    expect(texts.filter(text => text.length > 20).map(text => text.slice(1))).toEqual(
      Array.from({ length: 2 }, () => `${'why '.repeat(7)}yes<end>`),
    )
  }
  const long = lines(Array.from({ length: 8 }, (_, i) => question(i, 10)))
  const { train, validation } = await sequencesOf(long, { length: 32 }, 'long.jsonl')
  for (const { weights } of [...train, ...validation]) expect(Array.from(weights!).slice(1)).toContain(1)
})

test('an answer longer than the sequence keeps half a sequence of its prompt', async () => {
  const example = { prompt: 'p'.repeat(50), completion: 'c'.repeat(60) }
  const { train } = await sequencesOf(lines([example, example, example]), { length: 20, packing: false })
  for (const { ids } of train)
    expect(tokenizer.decode(Array.from(ids))).toBe(`${'p'.repeat(10)}${'c'.repeat(11)}`)
})

test('sequences of a prompt alone are left out', async () => {
  const { train } = await sequencesOf(lines([{ prompt: 'a'.repeat(30), completion: 'b'.repeat(300) }]), {
    length: 31,
  })
  expect(train.length).toBeGreaterThan(5)
  const late = lines([question(1, 1), question(2, 50), question(3, 1)])
  const { train: few } = await sequencesOf(late, { length: 12, validation: 0 })
  for (const { weights } of few) expect(Array.from(weights!).slice(1)).toContain(1)
  expect(few.length).toBeLessThan(4)
})

test('texts without anything in them are refused by name', async () => {
  const silent = { ...tokenizer, eos: [] }
  const read = (contents: string) => readSequences(file(contents, 'd.jsonl'), silent, { length: 20, seed: 1 })
  await expect(read(lines([{ text: '' }, { text: '' }]))).rejects.toThrow(
    'd.jsonl, line 1 has nothing to learn',
  )
  await expect(read(lines([{ prompt: 'p', completion: '' }]))).rejects.toThrow(/line 1 has nothing to learn/)
  await expect(read(lines([{ text: 'a' }]))).rejects.toThrow(/line 1 has nothing to learn/)
})

test('too little for validation names the option of the command line', async () => {
  const one = lines([{ text: 'hello' }])
  await expect(sequencesOf(one, { length: 32 }, 'one.jsonl')).rejects.toMatchObject({
    message: expect.stringMatching(/^one\.jsonl fills 1 sequences?, too little/),
    hint: expect.stringMatching(/--validation 0/),
  })
  expect((await sequencesOf(one, { length: 32, validation: 0 }, 'one.jsonl')).train).toHaveLength(1)
})
