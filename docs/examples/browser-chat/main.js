import { load } from '@reallm/runtime'

const [status, talk, form] = ['#status', '#talk', 'form'].map(query => document.querySelector(query))
const [input, button] = form.elements

/** Runs in a Worker, so that the page stays responsive. */
const model = await load('npm:@reallm/tiny', {
  worker: true,
  // any CDN of npm packages will do: 'https://cdn.jsdelivr.net/npm/'
  base: 'npm/',
  threads: Math.min(4, navigator.hardwareConcurrency),
  onProgress: ({ done, total }) => (status.textContent = `Loading: ${done} of ${total} bytes`),
}).catch(failed)
const chat = model.chat({ temperature: 0.7, seed: 1, maxTokens: 64 })
status.textContent = `Ready: ${model.threads} thread(s), ${model.weights} weights`
button.disabled = false

form.onsubmit = async event => {
  event.preventDefault()
  say('you', input.value)
  const answer = say('model', '')
  const words = input.value
  input.value = ''
  button.disabled = true
  try {
    for await (const piece of chat.send(words)) answer.textContent += piece
  } catch (error) {
    failed(error)
  }
  button.disabled = false
}

function say(who, text) {
  const line = Object.assign(document.createElement('p'), { className: who, textContent: text })
  talk.append(line)
  return line
}

function failed(error) {
  status.textContent = error.hint ? `${error.message} (${error.hint})` : error.message
  throw error
}
