// Loaded before a command line: ends the process after the rename whose target matches $KILL.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const { rename } = fs.promises
fs.promises.rename = async (from, to) => {
  await rename(from, to)
  if (process.env.KILL && new RegExp(process.env.KILL).test(to)) process.kill(process.pid, 'SIGKILL')
}
syncBuiltinESMExports()
