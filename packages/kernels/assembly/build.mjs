// Compiles the folders beside this file to src/wasm/<folder>.ts: a plain and a relaxed SIMD module in base64 (of `blocks` the plain one).
// Arguments: the folders (default: all); with `--check` it compares instead of writing.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const here = fileURLToPath(new URL('.', import.meta.url))
const options = [
  ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536', '--noExportMemory'],
  ...['--memoryBase', '4096', '--zeroFilledMemory', '--runtime', 'stub', '-O3', '--shrinkLevel', '1', '--noAssert'],
  ...['--disableWarning', 'AS112,AS201', '--enable', 'simd,threads,bulk-memory'],
]

async function compile(folder, ...features) {
  let binary
  const { error, stderr } = await asc.main(
    [`${folder}/index.ts`, ...options, ...features, '--outFile', 'module.wasm'],
    {
      readFile: name => {
        try {
          return readFileSync(join(here, name), 'utf8')
        } catch {
          return null
        }
      },
      writeFile: (_, contents) => {
        binary = contents
      },
    },
  )
  if (error) throw new Error(`${folder}: ${error.message}\n${stderr}`)
  return Buffer.from(binary).toString('base64')
}

/**
 * Both modules in pieces, taking turns: they are much alike, and compression on the way to a page looks back 32 kB only.
 */
function piecesOf(modules) {
  const count = 3
  const lines = []
  for (let i = 0; i < count; i++) {
    for (const [name, text] of Object.entries(modules)) {
      const [from, to] = [i, i + 1].map(part => Math.round((part * text.length) / count))
      lines.push(`const ${name}${i} = '${text.slice(from, to)}'`)
    }
  }
  for (const name of Object.keys(modules)) {
    lines.push(`export const ${name} = ${Array.from({ length: count }, (_, i) => `${name}${i}`).join(' + ')}`)
  }
  return lines
}

const check = process.argv.includes('--check')
const named = process.argv.slice(2).filter(arg => arg !== '--check')
for (const folder of named.length > 0 ? named : ['inference', 'encode', 'blocks']) {
  const plain = await compile(folder)
  // most of its arithmetic is on whole numbers
  const lines =
    folder === 'blocks'
      ? [`export const plain = '${plain}'`]
      : piecesOf({ plain, relaxed: await compile(folder, '--enable', 'relaxed-simd') })
  const text = [`// Built from assembly/${folder}.`, ...lines, ''].join('\n')
  const path = join(here, '..', 'src', 'wasm', `${folder}.ts`)
  if (!check) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`src/wasm/${folder}.ts is not what its sources compile to: run npm run build:wasm`)
    process.exitCode = 1
  }
}
