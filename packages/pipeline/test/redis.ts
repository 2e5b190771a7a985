import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Whether tests of the queue can run; says so when they cannot. */
export function hasRedis(what: string): boolean {
  const found = spawnSync('redis-server', ['--version']).status === 0
  if (!found) console.warn(`${what} not tested: there is no redis-server on the path.`)
  return found
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

/** A Redis of one's own, in a folder that goes with it; with a port of another one, its replica. */
export async function startRedis(replicaOf?: number) {
  const folder = await mkdtemp(join(tmpdir(), 'reallm-redis-'))
  const port = await freePort()
  const options = ['--port', String(port), '--save', '', '--bind', '127.0.0.1']
  if (replicaOf !== undefined) options.push('--replicaof', `127.0.0.1 ${replicaOf}`)
  const server = spawn('redis-server', options, { cwd: folder })
  for await (const line of server.stdout) if (String(line).includes('Ready to accept')) break
  return {
    folder,
    server,
    port,
    url: `redis://127.0.0.1:${port}`,
    async stop() {
      server.kill()
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Tries until it works: workers take a moment to register. */
export async function untilThere<T>(open: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await open()
    } catch (error) {
      if (attempt === 50) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}
