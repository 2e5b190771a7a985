#!/usr/bin/env node
import { existsSync } from 'node:fs'

const cli = new URL('../dist/cli.js', import.meta.url)
if (existsSync(cli)) await import(cli.href)
else {
  console.error('reallm: not built yet\n  hint: run npm run setup in the root of the checkout')
  process.exitCode = 1
}
