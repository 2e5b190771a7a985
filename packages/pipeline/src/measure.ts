import { writeFileAtomic } from '@reallm/tensor-io'
import { activeBackend } from '@reallm/transformer'
import { cacheFolder, createHash, join, mkdir, mkdtemp, readFile, rm, tmpdir } from '#platform'
import { choicesFor } from './recipe.ts'
import { type Damages, type SurveyOptions, survey } from './survey.ts'

/**
 * The survey's damages, measured once: kept under the digest of everything they depend on, so that another budget for
 * the same model is free.
 *
 * @param digest of the model's weights
 */
export async function measuredDamages(
  digest: string,
  options: Omit<SurveyOptions, 'scratch'>,
): Promise<Damages> {
  const path = join(cacheFolder(), `damages-${keyOf(digest, options)}.json`)
  // What is kept of gradients is not kept here: who wants it needs the survey itself.
  const known = options.keep ? undefined : await readDamages(path)
  if (known) return known
  const scratch = await mkdtemp(join(tmpdir(), 'reallm-survey-'))
  try {
    const damages = await survey({ ...options, scratch })
    // Without a place to keep them, the next run measures again: no reason to fail this one.
    await mkdir(cacheFolder(), { recursive: true })
      .then(() => writeFileAtomic(path, JSON.stringify(damages)))
      .catch(() => {})
    return damages
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

function keyOf(
  digest: string,
  { matrices, recipe, effort, seed, windows }: Omit<SurveyOptions, 'scratch'>,
): string {
  const hash = createHash('sha256').update(
    JSON.stringify([2, digest, recipe.name, effort, seed, activeBackend()?.name]),
  )
  for (const ids of windows.fit) hash.update(ids)
  for (const module of matrices) {
    hash.update(module.name)
    for (const { label } of choicesFor(recipe, module, effort)) hash.update(label)
  }
  return hash.digest('hex').slice(0, 32)
}

async function readDamages(path: string): Promise<Damages | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Damages
  } catch {
    return undefined
  }
}
