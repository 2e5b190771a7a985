import { basename } from '#platform'

/** Names of the report and its page: in a directory of a model's own, or beside a file that is called like it. */
export function reportFiles(place: string): { readonly json: string; readonly html: string } {
  const [, stem] = /^(.*)\.gguf$/.exec(basename(place)) ?? []
  const name = stem === undefined ? 'reallm-report' : `${stem}.reallm-report`
  return { json: `${name}.json`, html: `${name}.html` }
}
