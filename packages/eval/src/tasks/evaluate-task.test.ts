import { readFile } from 'node:fs/promises'
import { fixture } from '@reallm/testing'
import {
  type ModelWeights,
  openWeights,
  streamed,
  type TextTokenizer,
  tf,
  useBackend,
} from '@reallm/transformer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documentsOf } from './documents.ts'
import { encodePair } from './encode-pair.ts'
import { evaluateTask } from './evaluate-task.ts'
import { fieldsOf } from './fields.ts'
import { taskNamed, tasks } from './tasks.ts'

const read = async (name: string) => {
  const path = fixture(`tasks/${name}`)
  return documentsOf(path, await readFile(path))
}

/** What lm-evaluation-harness finds of the embedded model (tools/bench/lm-eval-agreement.py). */
type Golden = Record<string, { logLikelihoods: number[]; acc: number; acc_norm: number | null }[]>

let model: ModelWeights
let tokenizer: TextTokenizer
let golden: Golden
beforeAll(async () => {
  await useBackend('wasm')
  model = await openWeights('npm:@reallm/tiny')
  tokenizer = await model.tokenizer()
  golden = JSON.parse(await readFile(fixture('tasks/lm-eval.json'), 'utf8'))
})
afterAll(() => model.close())

describe('agrees with lm-evaluation-harness, document by document', () => {
  it.each(tasks.map(task => task.name))('%s', async name => {
    const before = tf.memory().numTensors
    const result = await evaluateTask(
      streamed(model),
      tokenizer,
      taskNamed(name),
      await read(`${name}.jsonl`),
    )
    const wanted = golden[name]
    expect(result.documents).toBe(wanted.length)
    for (const [i, { acc, acc_norm, logLikelihoods }] of wanted.entries()) {
      const answer = result.answers[i]
      for (const [c, value] of logLikelihoods.entries()) {
        expect(Math.abs(answer.logLikelihoods[c] - value)).toBeLessThan(2e-3)
      }
      expect(answer.isRight).toBe(acc === 1)
      if (acc_norm !== null) expect(answer.choiceByLength === answer.gold).toBe(acc_norm === 1)
    }
    expect(tf.memory().numTensors).toBe(before)
  })
})

describe('results', () => {
  it('have a standard error, an interval, and a perplexity for last words alone', async () => {
    const lambada = await evaluateTask(
      streamed(model),
      tokenizer,
      taskNamed('lambada_openai'),
      await read('lambada_openai.jsonl'),
    )
    const mean = golden.lambada_openai.reduce((sum, { logLikelihoods: [v] }) => sum + v, 0) / 8
    expect(lambada.perplexity! / Math.exp(-mean)).toBeCloseTo(1, 3)
    expect(lambada.accNorm).toBeUndefined()
    const piqa = await evaluateTask(streamed(model), tokenizer, taskNamed('piqa'), await read('piqa.jsonl'), {
      limit: 4,
    })
    const { value, error, interval } = piqa.acc
    expect(piqa.documents).toBe(4)
    expect(error).toBeCloseTo(Math.sqrt((value * (1 - value)) / 3), 12)
    expect(interval[0]).toBeLessThanOrEqual(value)
    expect(interval[1]).toBeGreaterThanOrEqual(value)
    expect(piqa.perplexity).toBeUndefined()
  })

  it('stop on request, and report how far they are', async () => {
    const stop = new AbortController()
    const seen: number[] = []
    const work = evaluateTask(streamed(model), tokenizer, taskNamed('boolq'), await read('boolq.jsonl'), {
      signal: stop.signal,
      onProgress: ({ done }) => {
        seen.push(done)
        if (seen.length === 2) stop.abort()
      },
    })
    await expect(work).rejects.toMatchObject({ code: 'aborted' })
    expect(seen).toHaveLength(2)
  })
})

describe('a context and its continuation', () => {
  it('are cut where the context ends when it is encoded alone', () => {
    const context = 'Question: Where is the whale?\nAnswer:'
    const { ids, from } = encodePair(tokenizer, { context, continuation: ' in the sea' }, 512)
    expect(tokenizer.decode(ids.slice(0, from))).toBe(context)
    expect(tokenizer.decode(ids.slice(from))).toBe(' in the sea')
  })

  it('give the spaces at the end of a context to the continuation', () => {
    const pair = (context: string, continuation: string) =>
      encodePair(tokenizer, { context, continuation }, 512)
    expect(pair('The whale ', 'swims')).toEqual(pair('The whale', ' swims'))
  })

  it('lose their beginning when they exceed the model', () => {
    const request = { context: 'one two three four five six seven eight', continuation: ' nine' }
    const whole = encodePair(tokenizer, request, 512)
    const short = encodePair(tokenizer, request, 5)
    expect(short.ids).toEqual(whole.ids.slice(-5))
    expect(short.ids.slice(short.from)).toEqual(whole.ids.slice(whole.from))
    expect(() => encodePair(tokenizer, { context: 'one', continuation: '' }, 512)).toThrow(/0 tokens/)
  })
})

describe('documents', () => {
  const bytes = (text: string) => new TextEncoder().encode(text)

  it('are lines, a list, or Parquet', async () => {
    expect(await documentsOf('a.jsonl', bytes('{"a":1}\n\n{"a":2}\n'))).toEqual([{ a: 1 }, { a: 2 }])
    expect(await documentsOf('a.json', bytes('[{"a":1}]'))).toEqual([{ a: 1 }])
    const items = (documents: readonly unknown[]) =>
      documents.map(document => taskNamed('piqa').item(fieldsOf(document, 'piqa', 1)))
    expect(items(await read('piqa.parquet'))).toEqual(items(await read('piqa.jsonl')))
  })

  it.each([
    ['a.jsonl', '{"a":1}\n{', /a\.jsonl, line 2 is not JSON/],
    ['a.json', '{"a":1}', /no list of documents/],
    ['a.txt', 'words', /no list of documents/],
    ['a.parquet', 'words', /cannot be read as Parquet/],
  ])('of %s that are none are refused', async (name, text, message) => {
    await expect(documentsOf(name, bytes(text))).rejects.toMatchObject({
      code: 'bad-file',
      message: expect.stringMatching(message),
    })
  })

  it.each([
    [{}, /document 1 has no text "goal"/],
    [{ goal: 'g', sol1: 'a', sol2: 'b', label: -1 }, /no number "label"/],
    [{ goal: 'g', sol1: 'a', sol2: 'b', label: 2 }, /names no right answer/],
    [7, /is not an object/],
  ])('of another benchmark are named: %j', async (document, message) => {
    const work = evaluateTask(streamed(model), tokenizer, taskNamed('piqa'), [document])
    await expect(work).rejects.toMatchObject({ code: 'bad-file', message: expect.stringMatching(message) })
  })
})
