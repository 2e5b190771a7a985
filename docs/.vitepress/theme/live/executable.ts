type Run = (load: (name: string) => Promise<object>, console: object) => Promise<void>
const AsyncFunction = (async () => {}).constructor as new (...source: string[]) => Run

const statement = /^import\s+(?:(\*\s+as\s+[\w$]+|\{[^}]*\})\s+from\s+)?(['"])([^'"]+)\2;?/gm

/** A module's source as a function: its imports become calls of the first argument. */
export function executable(source: string): Run {
  const body = source.replace(statement, (_, names: string | undefined, _quote, from: string) => {
    const loaded = `await __import(${JSON.stringify(from)})`
    if (names === undefined) return loaded
    if (names.startsWith('*')) return `const ${names.replace(/^\*\s+as\s+/, '')} = ${loaded}`
    return `const ${names.replace(/\s+as\s+/g, ': ')} = ${loaded}`
  })
  return new AsyncFunction('__import', 'console', body)
}
