/** A request, and the text that it is answered with when nobody else asks. */
export interface Asked {
  readonly path: string
  readonly body: { readonly stream?: boolean; readonly [field: string]: unknown }
  readonly text: string
}

/** What clients saw. */
export interface Seen {
  /** Seconds of each answer, from request to end. */
  readonly seconds: number[]
  /** Characters that were answered. */
  characters: number
  /** Requests that were refused with 429, and made again. */
  refused: number
  /** Answers that differ from what the same request gives alone. */
  readonly wrong: string[]
}

const schema = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 8 }, masts: { type: 'integer', minimum: 1, maximum: 5 } },
  required: ['name', 'masts'],
}
const json = { type: 'json_schema', json_schema: { name: 'ship', schema } }
const topics = ['the sea', 'a ship', 'the white whale', 'an old captain', 'the storm', 'a harbour']

/** Requests of every kind, each asked alone for its answer. */
export async function askAlone(url: string, count: number): Promise<Asked[]> {
  const asked: Asked[] = []
  for (let i = 0; i < count; i++) {
    const topic = topics[i % topics.length]
    const settings = { seed: i, max_tokens: 4 + ((5 * i) % 28), stream: i % 2 === 1 }
    const messages = [{ role: 'user', content: `Tell me of ${topic}.` }]
    const [path, body] =
      i % 3 === 0
        ? ['/v1/completions', { ...settings, prompt: `It was ${topic} that` }]
        : [
            '/v1/chat/completions',
            { ...settings, messages, ...(i % 3 === 1 ? { response_format: json } : {}) },
          ]
    const response = await post(url, path, body)
    if (!response.ok) throw new Error(await response.text())
    asked.push({ path: String(path), body: Object(body), text: await textOf(response) })
  }
  return asked
}

/** So many clients ask one request after the other while `goesOn`; what is refused is asked again when it may be. */
export async function ask(
  url: string,
  asked: readonly Asked[],
  clients: number,
  goesOn: () => boolean,
): Promise<Seen> {
  const seen: Seen = { seconds: [], characters: 0, refused: 0, wrong: [] }
  const client = async (_: unknown, start: number) => {
    for (let i = start; goesOn(); i++) {
      const { path, body, text } = asked[i % asked.length]
      const began = performance.now()
      let response = await post(url, path, body)
      while (response.status === 429) {
        seen.refused++
        await response.body?.cancel()
        await new Promise(resolve => setTimeout(resolve, 1000 * Number(response.headers.get('retry-after'))))
        response = await post(url, path, body)
      }
      const answer = await textOf(response)
      seen.seconds.push((performance.now() - began) / 1000)
      seen.characters += answer.length
      if (answer !== text)
        seen.wrong.push(`${response.status} ${JSON.stringify(body)}: ${answer} instead of ${text}`)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return seen
}

const post = (url: string, path: unknown, body: unknown): Promise<Response> =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

interface Choice {
  readonly text?: string
  readonly message?: { readonly content: string }
  readonly delta?: { readonly content?: string }
}

/** The text of an answer, streamed or whole. */
async function textOf(response: Response): Promise<string> {
  const body = await response.text()
  const streamed = response.headers.get('content-type')?.startsWith('text/event-stream')
  const events = streamed ? body.split('\n\n').filter(event => event.startsWith('data: {')) : [body]
  return events
    .flatMap(event => (JSON.parse(event.replace(/^data: /, '')) as { choices?: Choice[] }).choices ?? [])
    .map(choice => choice.text ?? choice.message?.content ?? choice.delta?.content ?? '')
    .join('')
}
