// Preloaded into a command (`node --import`), counts what it changes below REALLM_FAULT_ROOT and does at change number N what
// REALLM_FAULT says: `kill@N` ends the process there (inside a write or a removal: after half of it), `full@N` and `read-only@N` let this and
// all later changes fail as on a full or a read-only disk, `gone@N` deletes all of it, `changed@N` writes the weights of the
// model at REALLM_FAULT_SOURCE anew with one bit flipped. The number of changes is written to REALLM_FAULT_COUNT at the end.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const root = process.env.REALLM_FAULT_ROOT
const source = process.env.REALLM_FAULT_SOURCE
const [kind, number] = (process.env.REALLM_FAULT ?? 'none@0').split('@')
const at = Number(number)
const real = { ...fs, promises: { ...fs.promises } }
let changes = 0

const codes = { full: 'ENOSPC', 'read-only': 'EROFS' }
const messages = { full: 'no space left on device', 'read-only': 'read-only file system' }

/** Counts a change; `half` does half of it. */
function change(what, path, half) {
  if (!String(path).startsWith(root)) return
  changes++
  if (kind in codes && changes >= at && !/^(rm|rmdir|unlink)$/.test(what)) {
    const message = `${codes[kind]}: ${messages[kind]}, ${what} '${path}'`
    throw Object.assign(new Error(message), { code: codes[kind], syscall: what, path: String(path) })
  }
  if (changes !== at) return
  if (kind === 'gone') {
    // by renames, which succeed while other threads write
    for (const name of real.readdirSync(root))
      real.renameSync(`${root}/${name}`, `${root}.gone-${process.pid}-${name}`)
  }
  if (kind === 'changed') {
    const bytes = real.readFileSync(source)
    bytes[bytes.length - 5] ^= 64
    real.writeFileSync(source, bytes)
  }
  if (kind === 'kill') {
    half?.()
    process.kill(process.pid, 'SIGKILL')
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
  }
}

/** Deletes the first half of what lies in a directory, in the order in which it is listed. */
function removeHalf(path) {
  const names = real.existsSync(path) && real.statSync(path).isDirectory() ? real.readdirSync(path) : []
  for (const name of names.slice(0, Math.ceil(names.length / 2)))
    real.rmSync(`${path}/${name}`, { recursive: true, force: true })
}

for (const name of ['rename', 'rm', 'rmdir', 'unlink', 'mkdir', 'mkdtemp', 'writeFile', 'copyFile']) {
  fs.promises[name] = async (...args) => {
    const target = name === 'rename' || name === 'copyFile' ? args[1] : args[0]
    change(name, target, name === 'rm' ? () => removeHalf(target) : undefined)
    return real.promises[name](...args)
  }
  const sync = `${name}Sync`
  fs[sync] = (...args) => {
    change(name, args[0])
    return real[sync](...args)
  }
}
fs.promises.open = async (path, flags = 'r', ...rest) => {
  if (String(flags).startsWith('r')) return real.promises.open(path, flags, ...rest)
  change('open', path)
  const file = await real.promises.open(path, flags, ...rest)
  const write = file.write.bind(file)
  file.write = async (bytes, offset = 0, length = bytes.length - offset, position = null) => {
    change('write', path, () => {
      if (length > 1) real.writeSync(file.fd, bytes, offset, length >> 1, position)
    })
    return write(bytes, offset, length, position)
  }
  for (const name of ['writeFile', 'sync', 'truncate']) {
    const own = file[name].bind(file)
    file[name] = async (...args) => {
      change(name, path)
      return own(...args)
    }
  }
  return file
}
syncBuiltinESMExports()
process.on('exit', () => {
  if (process.env.REALLM_FAULT_COUNT) real.writeFileSync(process.env.REALLM_FAULT_COUNT, String(changes))
})
