// Serves the built site: `npm run docs`, or `npm run docs -- --no-isolation` for how it is without shared memory.
import { join } from 'node:path'
import { serve } from './serve.ts'

const { url } = await serve({
  folder: join(import.meta.dirname, '..', '.vitepress', 'dist'),
  port: Number(process.env.PORT ?? 5173),
  isolated: !process.argv.includes('--no-isolation'),
})
console.log(`The site is at ${url}`)
