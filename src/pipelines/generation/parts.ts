import { textShapeOf } from '../../conditioning/index.js'
import { circularProgram } from '../../nn/circular.js'
import { withSharedNorms } from '../../nn/shared-norms.js'
import type { Executable } from '../../runtime/index.js'
import type { Program } from '../../tensor/program.js'
import type { PromptStyleName } from '../../text/prompt/index.js'
import type { ModelConfig } from '../model-config.js'
import { networkVariantOf } from '../network-variant.js'
import {
  conditionProgram,
  type DenoiserVariant,
  decodingProgram,
  denoisingProgram,
  encodingProgram,
  outerProgram,
} from '../programs.js'
import type { Plan } from '../settings/plan.js'
import { commonChunks } from './conditions/texts.js'
import { circularWithin, type SeeingVariant, seeingVariantOf } from './windows/variant.js'

/** All of a plan that a model's networks are compiled for; a change inside a network is one more field. */
export type Variant = DenoiserVariant & SeeingVariant

/** The variant that a plan asks for, whose texts have contexts of these numbers of chunks. */
export function variantOf(
  { config }: { readonly config: ModelConfig },
  plan: Plan,
  counts: readonly number[],
): Variant {
  const { width, height, request } = plan
  const network = networkVariantOf(plan, config.unet_config!)
  const chunks = commonChunks(counts, textShapeOf(config.conditioning)?.alone ?? true)
  const { clipSkip: skip, promptStyle = 'plain' } = request as Partial<Spoken>
  const rule = promptStyle === 'plain' ? 'diffusers' : promptStyle
  return {
    width,
    height,
    ...(chunks > 1 && { chunks }),
    ...(skip !== undefined && { clipSkip: { skip, rule } }),
    ...(Object.keys(network).length > 0 && { network }),
    ...seeingVariantOf(plan),
  }
}

interface Spoken {
  readonly clipSkip: number
  readonly promptStyle: PromptStyleName
}

/** The networks of a model, by what they do. */
const programs = {
  conditions: conditionProgram,
  denoiser: denoisingProgram,
  outer: outerProgram,
  decoder: decodingProgram,
  encoder: encodingProgram,
} satisfies Record<string, (config: ModelConfig, variant: Variant) => Program | undefined>

/** What of a picture each network sees at once; all where it is not named. */
const seen: { readonly [P in Part]?: 'window' | 'tile' } = {
  denoiser: 'window',
  outer: 'window',
  decoder: 'tile',
  encoder: 'tile',
}

/** Inputs that are others in every call of a network. */
const changing: ReadonlySet<string> = new Set(['x', 't', 'deep', 'z', 'images'])

type Programs = typeof programs
/** Name of a network. */
export type Part = keyof Programs

type Compiled<P extends Part> = Executable | Extract<ReturnType<Programs[P]>, undefined>

/** A model's networks in one variant, each of them compiled when it is first asked for. */
export interface Parts {
  readonly variant: Variant
  /** The network; undefined where the model has none of the kind. */
  get<P extends Part>(part: P): Promise<Compiled<P>>
  dispose(): Promise<void>
}

/** The parts of a model; nothing is compiled yet. */
export function partsOf(
  config: ModelConfig,
  variant: Variant,
  compile: (program: Program, steady?: readonly string[]) => Promise<Executable>,
): Parts {
  const made = new Map<Part, Promise<Executable | undefined>>()
  const make = async (part: Part) => {
    const by = seen[part]
    const { width, height } = (by && variant[by]) ?? variant
    const program = programs[part](config, { ...variant, width, height })
    if (program === undefined) return undefined
    const circular = circularWithin(variant, { width, height }, variant.seamless)
    const seamless = circular ? circularProgram(program, circular) : program
    const steady = Object.keys(program.inputs).filter(name => !changing.has(name))
    return compile(by === 'tile' && variant.tile ? withSharedNorms(seamless) : seamless, steady)
  }
  return {
    variant,
    get<P extends Part>(part: P) {
      const known = made.get(part)
      if (known) return known as Promise<Compiled<P>>
      const making = make(part)
      made.set(part, making)
      // What failed is tried anew when it is asked for again.
      making.catch(() => made.delete(part))
      return making as Promise<Compiled<P>>
    },
    async dispose() {
      for (const part of made.values())
        await part.then(
          executable => executable?.dispose(),
          () => {},
        )
    },
  }
}
