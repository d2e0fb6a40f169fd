import { LatentkitError } from '../platform/errors.js'

/** A model on the hub, or one file of it. */
export interface HubName {
  /** `organisation/name`. */
  readonly id: string
  /** A branch, tag or commit. */
  readonly revision: string
  readonly file?: string | undefined
}

/**
 * Reads `organisation/name`, `organisation/name@revision` or `organisation/name:file`; undefined for any other text, so
 * also for what looks like the path of a file.
 *
 * Source of what a name may be: huggingface_hub, utils/_validators.py.
 */
export function readHubName(text: string): HubName | undefined {
  const {
    id,
    revision = 'main',
    file,
  } = /^(?<id>[^/\\:@]+\/[^/\\:@]+)(?:@(?<revision>[^:]+))?(?::(?<file>.+))?$/.exec(text)?.groups ?? {}
  if (id === undefined || !id.split('/').every(isName)) return undefined
  if (file === undefined && /\.(safetensors|ckpt|pt|pth|bin|gguf|json|yaml)$/i.test(id)) return undefined
  return { id, revision: checkedPath(revision, 'revision'), file: file && checkedPath(file, 'file') }
}

const isName = (part: string): boolean =>
  /^[\w.-]{1,96}$/.test(part) && !/--|\.\./.test(part) && !/^[-.]|[-.]$/.test(part)

/** A path below a folder, as the hub writes it, or a LatentkitError: it may come from anybody and must not lead elsewhere. */
export function checkedPath(path: string, what: string): string {
  const leadsOut = path.split('/').some(part => part === '' || part === '.' || part === '..')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (leadsOut || path.length > 1000 || /[\\:\x00-\x1f]/.test(path))
    throw new LatentkitError(
      `The ${what} ${JSON.stringify(path.slice(0, 200))} is none that a model on the hub can have: wanted is a path below its folder, such as unet/config.json`,
    )
  return path
}
