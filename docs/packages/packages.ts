import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '..', '..', 'packages')
const order =
  'reallm pipeline tensor-io vq lowrank autoencoder finetune eval transformer runtime serve kernels smollm2 tiny'

/** Folders of the published packages, in reading order. */
export const packageNames = readdirSync(folder)
  .filter(name => existsSync(join(folder, name, 'README.md')))
  .sort((a, b) => order.split(' ').indexOf(a) - order.split(' ').indexOf(b))

/** Packages that hold weights and no code. */
export const weightsOnly: readonly string[] = ['smollm2', 'tiny']

export const npmName = (name: string): string => (name === 'reallm' ? name : `@reallm/${name}`)

/** Packages whose live example is in `docs/live`. */
export const liveNames = readdirSync(join(import.meta.dirname, '..', 'live')).map(file =>
  file.replace('.js', ''),
)

/** Links that a README gives by the address of the repository, because npm shows it too. */
const inRepository = (path: string) =>
  new RegExp(`\\]\\(https://github\\.com/[\\w.-]+/[\\w.-]+/${path}(#[\\w-]+)?\\)`, 'g')

/** A package's page: its README with the live example after the introduction, and links of the site. */
export function pageOf(name: string): string {
  const readme = readFileSync(join(folder, name, 'README.md'), 'utf8')
    .replaceAll(inRepository('tree/main/packages/([\\w-]+)/?'), '](/packages/$1$2)')
    .replaceAll(inRepository('blob/main/docs/([\\w/-]+)\\.md'), '](/$1$2)')
  const live = liveNames.includes(name) ? `\n## Try it\n\n<LiveExample name="${name}" />\n` : ''
  const api = weightsOnly.includes(name)
    ? ''
    : `\n## API reference\n\n[Every export of ${npmName(name)}](/api/${name}), from its source.\n`
  return readme.replace(/\n## |$/, heading => `${live}${heading}`) + api
}
