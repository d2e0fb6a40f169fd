import { z } from 'zod'
import { FileError } from '../../platform/errors.js'

/** Where diffusers keeps the settings of PEFT that a LoRA was trained with, `unet.lora_alpha` and the like. */
const key = 'lora_adapter_metadata'
const alphas = z.record(z.string(), z.number())

/** By what a module's product is multiplied. */
export interface WrittenScale {
  readonly alpha: number
  /** Of the rank the root divides (rank-stabilised LoRA, Kalajdzievski 2023). */
  readonly rooted: boolean
}

/**
 * The scales of a LoRA whose file says them once for all modules, by the module's name.
 *
 * Throws FileError where what it says is none. Source: diffusers, loaders/lora_base.py; peft, tuners/lora/layer.py.
 */
export function writtenScales(
  file: string,
  metadata: ReadonlyMap<string, string>,
): (module: string) => WrittenScale | undefined {
  const text = metadata.get(key)
  if (text === undefined) return () => undefined
  const told = parsed(file, text)
  return module => {
    const network = /^(unet|text_encoder(?:_2)?)\./.exec(module)?.[1]
    const alpha = network && told[`${network}.lora_alpha`]
    if (typeof alpha !== 'number') return undefined
    const patterns = alphas.safeParse(told[`${network}.alpha_pattern`]).data ?? {}
    const own = Object.keys(patterns).find(name => module.endsWith(`.${name}`))
    return { alpha: own === undefined ? alpha : patterns[own]!, rooted: told[`${network}.use_rslora`] === true }
  }
}

function parsed(file: string, text: string): Record<string, unknown> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text))
  } catch (cause) {
    throw new FileError(file, `its ${key} is no JSON object: the file is damaged`, { cause })
  }
}
