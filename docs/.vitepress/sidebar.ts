import type { DefaultTheme } from 'vitepress'
import { npmName, packageNames } from '../packages/packages.ts'

const guides = (text: string, pages: Readonly<Record<string, string>>): DefaultTheme.SidebarItem => ({
  text,
  items: Object.entries(pages).map(([link, text]) => ({ text, link })),
})

export const sidebar: DefaultTheme.SidebarItem[] = [
  guides('Begin', {
    '/guides/node': 'Quick start in Node',
    '/guides/browser': 'Quick start in the browser',
    '/guides/which-model': 'Which model, which bits',
    '/guides/faq': 'Questions',
    '/guides/comparison': 'Compared with others',
  }),
  guides('Compress', {
    '/guides/choosing-bits': 'Choosing bits',
    '/guides/targets': 'Which target?',
    '/recipes': 'Recipes compared',
    '/guides/reading-a-report': 'Reading a report',
    '/guides/many-machines': 'Many machines',
  }),
  guides('Adapt, run, share', {
    '/guides/fine-tuning': 'Fine-tuning',
    '/guides/converting': 'From and to Hugging Face, GGUF',
    '/guides/serving': 'Serving a model',
    '/guides/publishing': 'Publishing a model',
  }),
  guides('Look up', {
    '/guides/cli': 'Command line',
    '/guides/families': 'Model families',
    '/guides/runtimes': 'Browsers and runtimes',
    '/guides/licences': 'Licences of models',
    '/guides/roadmap': 'Roadmap',
  }),
  guides('Go further', {
    '/guides/adding-a-codec': 'Adding a codec',
    '/guides/adding-a-family': 'Adding a family',
    '/guides/adding-a-backend': 'Adding a backend',
    '/guides/paper': 'The paper, and what we measured',
    '/research/': 'Research notes',
  }),
  {
    text: 'Packages',
    items: packageNames.map(name => ({ text: npmName(name), link: `/packages/${name}` })),
  },
]
