// Compiles the folders beside this file to src/wasm/<folder>.ts: a plain and a relaxed SIMD module (of the small ones the plain
// one), the latter as its difference, in hexadecimal digits: compressed on the way to a page they are a quarter smaller than base64,
// whose digits straddle bytes.
// Arguments: the folders (default: all); with `--check` it compares instead of writing.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const here = fileURLToPath(new URL('.', import.meta.url))
const options = [
  ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536', '--noExportMemory'],
  ...['--zeroFilledMemory', '--runtime', 'stub', '-O3', '--shrinkLevel', '1', '--noAssert'],
  ...['--disableWarning', 'AS112,AS201', '--enable', 'simd,threads,bulk-memory'],
]

async function compile(folder, ...features) {
  let binary
  const { error, stderr } = await asc.main(
    [`${folder}/index.ts`, ...options, ...placeOfData(folder), ...features, '--outFile', 'module.wasm'],
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
  return Buffer.from(binary)
}

/**
 * Without data of its own a module names no place for it. The compiler then knows that nothing lies in the first bytes of the memory, and
 * that constants in addresses may become those of loads and stores.
 */
const placeOfData = folder => (folder === 'trellis' ? [] : ['--memoryBase', '4096'])

/** Bytes that a copy must have to be shorter than its description. */
const SHORTEST_COPY = 8

/**
 * What makes `to` of `from`, which it is much like: a sequence of the number of new bytes, the new bytes, where in `from` bytes are copied
 * from, and their number; all numbers are of two bytes.
 */
function difference(from, to) {
  if (Math.max(from.length, to.length) >= 65536) throw new Error('places in a module have two bytes')
  const places = new Map()
  const keyAt = (bytes, at) => bytes.toString('latin1', at, at + SHORTEST_COPY)
  for (let at = 0; at + SHORTEST_COPY <= from.length; at++) {
    const key = keyAt(from, at)
    places.set(key, [...(places.get(key) ?? []), at])
  }
  const number = n => Buffer.of(n & 255, n >> 8)
  const parts = []
  let fresh = 0
  for (let at = 0; at < to.length; ) {
    let [best, length] = [0, 0]
    for (const place of places.get(keyAt(to, at)) ?? []) {
      let same = 0
      while (place + same < from.length && from[place + same] === to[at + same]) same++
      if (same > length) [best, length] = [place, same]
    }
    if (length < SHORTEST_COPY && ++at < to.length) continue
    parts.push(number(at - fresh), to.subarray(fresh, at), number(best), number(length))
    at += length
    fresh = at
  }
  return Buffer.concat(parts)
}

/** Modules that relaxed SIMD would hardly make faster. */
const small = ['blocks', 'scales', 'predictions', 'trellis']

const check = process.argv.includes('--check')
const named = process.argv.slice(2).filter(arg => arg !== '--check')
for (const folder of named.length > 0 ? named : ['inference', 'encode', 'neural', ...small]) {
  const plain = await compile(folder)
  const relaxed = small.includes(folder) ? undefined : await compile(folder, '--enable', 'relaxed-simd')
  const text = [
    `// Built from assembly/${folder}: a module${relaxed ? ', and what makes that of relaxed SIMD of it' : ''}.`,
    `export const plain = '${plain.toString('hex')}'`,
    ...(relaxed ? [`export const relaxed = '${difference(plain, relaxed).toString('hex')}'`] : []),
    '',
  ].join('\n')
  const path = join(here, '..', 'src', 'wasm', `${folder}.ts`)
  if (!check) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`src/wasm/${folder}.ts is not what its sources compile to: run npm run build:wasm`)
    process.exitCode = 1
  }
}
