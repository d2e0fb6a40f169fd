import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { FileError } from '../errors.js'
import type { HubPlace } from '../types.js'

/** Source: huggingface_hub, constants.py and utils/_auth.py. */
export async function hubPlace(): Promise<HubPlace> {
  const { env } = process
  const home = folder(env.HF_HOME) ?? join(folder(env.XDG_CACHE_HOME) ?? join(homedir(), '.cache'), 'huggingface')
  const endpoint = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
  if (!/^https?:\/\/[^/]/.test(endpoint))
    throw new FileError(
      'HF_ENDPOINT',
      `is ${JSON.stringify(endpoint)}; wanted is an address such as https://huggingface.co`,
    )
  return {
    cache: folder(env.HF_HUB_CACHE) ?? folder(env.HUGGINGFACE_HUB_CACHE) ?? join(home, 'hub'),
    endpoint,
    token: await tokenAt(folder(env.HF_TOKEN_PATH) ?? join(home, 'token')),
    offline: isTrue(env.HF_HUB_OFFLINE) || isTrue(env.TRANSFORMERS_OFFLINE),
  }
}

/** As shells do it: `~` is the user's home. */
const folder = (path: string | undefined): string | undefined => path?.replace(/^~(?=$|[/\\])/, homedir()) || undefined

const isTrue = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '')

/** The environment's token, or the one that `hf auth login` keeps. */
async function tokenAt(path: string): Promise<string | undefined> {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN } = process.env
  const token = HF_TOKEN || HUGGING_FACE_HUB_TOKEN || (await readFile(path, 'utf8').catch(() => ''))
  return token.trim() || undefined
}
