import { LatentkitError } from '../platform/errors.js'
import { type ConditioningConfig, present, requestFields } from './config.js'
import type { Request } from './contract.js'

/**
 * Holds the fields that a request gives against those that a model listens to.
 *
 * @throws LatentkitError for one that it does not take.
 */
export function checkRequest(config: ConditioningConfig | undefined, request: Request): void {
  const all = present(config)
  const known = new Set(all.flatMap(({ conditioning }) => Object.keys(conditioning.request)))
  const takes =
    all.length === 0 ? 'takes no condition' : `takes ${all.map(({ conditioning }) => conditioning.what).join(' and ')}`
  for (const name of Object.keys(requestFields)) {
    if (request[name] === undefined || known.has(name)) continue
    throw new LatentkitError(
      `generate: "${name}" is not for this model, which ${takes}; leave it out, or load what takes it`,
    )
  }
  if (
    config?.text === undefined &&
    config?.clip_text === undefined &&
    config?.neighbours === undefined &&
    (request.prompt !== '' || request.negativePrompt !== '')
  ) {
    throw new LatentkitError(
      all.length === 0
        ? 'generate: this model was trained without captions and takes no text; leave the prompt out'
        : `generate: this model ${takes} and no text; leave the prompt out`,
    )
  }
}

/** The size of the picture that a request means, where it means one. */
export function sizeOfRequest(config: ConditioningConfig | undefined, request: Request) {
  for (const { conditioning, config: own } of present(config)) {
    const size = conditioning.size?.(own, request)
    if (size) return { width: size.width, height: size.height }
  }
  return undefined
}
