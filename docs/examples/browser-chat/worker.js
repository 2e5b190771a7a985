// The model runs here, so that the page stays responsive.
import { load } from '@reallm/runtime'

let chat

async function start(base) {
  const model = await load('npm:@reallm/tiny', {
    base,
    threads: self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1,
    onProgress: ({ done, total }) => self.postMessage({ progress: { done, total } }),
  })
  chat = model.chat({ temperature: 0.7, seed: 1, maxTokens: 64 })
  self.postMessage({ ready: { threads: model.threads, weights: model.weights } })
}

async function answer(text) {
  for await (const piece of chat.send(text)) self.postMessage({ text: piece })
  self.postMessage({ done: true })
}

self.onmessage = ({ data }) =>
  (data.base ? start(data.base) : answer(data.say)).catch(({ message, hint }) =>
    self.postMessage({ error: hint ? `${message} (${hint})` : message }),
  )
