import { writeFileAtomic } from '@reallm/tensor-io'
import { activeBackend } from '@reallm/transformer'
import {
  cacheFolder,
  createHash,
  dirname,
  join,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  tmpdir,
} from '#platform'
import { matrixFiles } from '../checkpoint/matrix-files.ts'
import { choicesFor } from '../recipes/recipe.ts'
import { type Survey, type SurveyOptions, survey } from './measure-sensitivity.ts'

/**
 * The survey, made once: kept in the cache folder under the digest of everything they depend on, with what
 * the survey keeps of gradients, so that another budget for the same model is free. Only the newest one stays there.
 *
 * @param digest of the model's weights
 * @param outputs directory for what the survey keeps of gradients, where that is wanted
 */
export async function measuredSurvey(
  digest: string,
  options: Omit<SurveyOptions, 'scratch' | 'keep'>,
  outputs?: string,
): Promise<Survey> {
  const cached = join(cacheFolder(), `survey-${keyOf(digest, options)}${outputs ? '-outputs' : ''}`)
  const known = await readSurvey(cached, outputs)
  if (known) return known
  const scratch = await mkdtemp(join(tmpdir(), 'reallm-survey-'))
  try {
    const found = await survey({
      ...options,
      scratch,
      ...(outputs && { keep: matrixFiles(outputs).write }),
    })
    // Without a place to keep them, the next run measures again: no reason to fail this one.
    await keepSurvey(cached, found, outputs).catch(() => {})
    return found
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

const surveyFile = 'survey.json'

async function readSurvey(cached: string, outputs: string | undefined): Promise<Survey | undefined> {
  try {
    const found = JSON.parse(await readFile(join(cached, surveyFile), 'utf8')) as Survey
    if (outputs) await copyFiles(cached, outputs)
    return found
  } catch {
    return undefined
  }
}

/** The findings come last: a folder that has them is whole. */
async function keepSurvey(cached: string, found: Survey, outputs: string | undefined): Promise<void> {
  await mkdir(cached, { recursive: true })
  for (const name of await readdir(dirname(cached))) {
    const other = join(dirname(cached), name)
    if (name.startsWith('survey-') && other !== cached) await rm(other, { recursive: true, force: true })
  }
  if (outputs) await copyFiles(outputs, cached)
  await writeFileAtomic(join(cached, surveyFile), JSON.stringify(found))
}

async function copyFiles(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (name !== surveyFile) await writeFileAtomic(join(to, name), await readFile(join(from, name)))
  }
}

function keyOf(
  digest: string,
  { matrices, recipe, effort, seed, windows }: Omit<SurveyOptions, 'scratch' | 'keep'>,
): string {
  const hash = createHash('sha256').update(
    JSON.stringify([12, digest, recipe.name, effort, seed, activeBackend()?.name]),
  )
  for (const ids of windows.fit) hash.update(ids)
  for (const module of matrices) {
    hash.update(module.name)
    for (const { label } of choicesFor(recipe, module, effort)) hash.update(label)
  }
  return hash.digest('hex').slice(0, 32)
}
