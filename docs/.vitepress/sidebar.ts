import type { DefaultTheme } from 'vitepress'
import { npmName, packageNames } from '../packages/packages.ts'

export const sidebar: DefaultTheme.SidebarItem[] = [
  {
    text: 'Guides',
    items: [
      { text: 'Quick start in Node', link: '/guides/node' },
      { text: 'Quick start in the browser', link: '/guides/browser' },
      { text: 'Which model, which bits', link: '/guides/which-model' },
      { text: 'Choosing bits', link: '/guides/choosing-bits' },
      { text: 'Which target?', link: '/guides/targets' },
      { text: 'Reading a report', link: '/guides/reading-a-report' },
      { text: 'From and to Hugging Face, GGUF', link: '/guides/converting' },
      { text: 'Model families', link: '/guides/families' },
      { text: 'Fine-tuning', link: '/guides/fine-tuning' },
      { text: 'Recipes compared', link: '/recipes' },
      { text: 'Serving a model', link: '/guides/serving' },
      { text: 'Publishing a model', link: '/guides/publishing' },
      { text: 'What runs where', link: '/guides/compatibility' },
      { text: 'Adding a codec', link: '/guides/adding-a-codec' },
      { text: 'Adding a family', link: '/guides/adding-a-family' },
      { text: 'Adding a backend', link: '/guides/adding-a-backend' },
      { text: 'Many machines', link: '/guides/many-machines' },
      { text: 'The paper, and what we measured', link: '/guides/paper' },
      { text: 'Command line', link: '/guides/cli' },
      { text: 'Browsers and runtimes', link: '/guides/runtimes' },
      { text: 'Compared with others', link: '/guides/comparison' },
      { text: 'Questions', link: '/guides/faq' },
      { text: 'Roadmap', link: '/guides/roadmap' },
      { text: 'Research notes', link: '/research/' },
    ],
  },
  {
    text: 'Packages',
    items: packageNames.map(name => ({ text: npmName(name), link: `/packages/${name}` })),
  },
]
