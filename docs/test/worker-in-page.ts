import { load, type Model } from '@reallm/runtime'

/** Long enough that reading it takes many passes. */
const prompt = 'The whale swam round the ship. '.repeat(22)

/** Milliseconds of the page's longest task while something is done; 0 where none takes 50. */
async function longestTask(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  const hear = (entries: PerformanceEntryList) => {
    for (const { duration } of entries) longest = Math.max(longest, duration)
  }
  const observer = new PerformanceObserver(list => hear(list.getEntries()))
  observer.observe({ type: 'longtask' })
  await work()
  // the last ones are told in a task of their own
  await new Promise(resolve => setTimeout(resolve, 100))
  hear(observer.takeRecords())
  observer.disconnect()
  return longest
}

const write = (model: Pick<Model, 'generate'>) => model.generate(prompt, { maxTokens: 12 }).text()

/** Runs inside a page: what a model in a Worker writes, beside one in the page; and whether the page could do other work. */
export async function run() {
  const options = { threads: 2, cache: false }
  const here = await load('model/', options)
  const wanted = await write(here)
  here.dispose()

  const model = await load('model/', { ...options, worker: true })
  const texts: string[] = []
  const longest: number[] = []
  for (let i = 0; i < 3; i++) longest.push(await longestTask(async () => texts.push(await write(model))))

  const chat = model.chat({ system: 'Be brief.', maxTokens: 8 })
  await chat.send('Tell me of the sea.').text()
  const controller = new AbortController()
  const generation = model.generate(prompt, { maxTokens: 200, signal: controller.signal })
  setTimeout(() => controller.abort())
  const stopped = await generation.text().catch(error => error.code)
  const missing = await load('nowhere/', { worker: true }).catch(error => error)
  const foreign = await load('model/', { worker: new Worker('nowhere.js', { type: 'module' }) }).catch(
    error => error,
  )
  model.dispose()
  return {
    wanted,
    texts,
    longest,
    stopped,
    messages: chat.messages.map(({ role }) => role),
    threads: model.threads,
    refused: [missing, foreign].map(({ name, code, hint }) => ({ name, code, hint: typeof hint })),
  }
}
