import { readResults } from './schema.ts'

/** Answers of the original and of the compressed model to the same prompts, one below the other. */
export function answersTable(): string {
  const rows = readResults('prompts').runs.flatMap(run => run.rows)
  const quoted = (text: unknown) =>
    String(text)
      .trim()
      .replaceAll(/[<>{}]/g, sign => `&#${sign.charCodeAt(0)};`)
      .replaceAll(/([*_`#|~$\\])/g, '\\$1')
      .split(/\n+/)
      .join(' ⏎ ')
  return rows
    .map(
      ({ prompt, original, compressed }) =>
        `**${quoted(prompt)}**\n\n- original: ${quoted(original)}\n- compressed: ${quoted(compressed)}`,
    )
    .join('\n\n')
}
