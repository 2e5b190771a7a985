const [status, talk, form] = ['#status', '#talk', 'form'].map(query => document.querySelector(query))
const [input, button] = form.elements
const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
// any CDN of npm packages will do: 'https://cdn.jsdelivr.net/npm/'
worker.postMessage({ base: new URL('npm/', document.baseURI).href })
let answer

worker.onmessage = ({ data }) => {
  if (data.progress) status.textContent = `Loading: ${data.progress.done} of ${data.progress.total} bytes`
  if (data.ready) status.textContent = `Ready: ${data.ready.threads} thread(s), ${data.ready.weights} weights`
  if (data.text) answer.textContent += data.text
  if (data.error) status.textContent = data.error
  if (data.ready || data.done) button.disabled = false
}

form.onsubmit = event => {
  event.preventDefault()
  say('you', input.value)
  answer = say('model', '')
  button.disabled = true
  worker.postMessage({ say: input.value })
  input.value = ''
}

function say(who, text) {
  const line = Object.assign(document.createElement('p'), { className: who, textContent: text })
  talk.append(line)
  return line
}
