// The site serves the model's package itself, under npm/, as a CDN would. Leave this out to load it from one.
import { cpSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'

const name = '@reallm/tiny'
const folder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
cpSync(folder, `public/npm/${name}`, { recursive: true })
