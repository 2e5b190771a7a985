import { files } from './files.ts'
import { http } from './http.ts'
import type { Check } from './target.ts'
import { texts } from './texts.ts'

/** What strangers send, by kind. */
export const targets: Readonly<Record<string, Check>> = { ...texts, ...files, ...http }
