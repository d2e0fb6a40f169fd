import { z } from 'zod'
import { FileError } from '../../platform/errors.js'
import type { ConfigJson } from './family.js'

const words = z.record(z.string(), z.unknown())
const module = z.looseObject({ target: z.string(), params: words.default({}) })

/** The parts of a configuration of latent-diffusion, stablediffusion and generative-models that make the model what it is. */
const compvisSchema = z.looseObject({
  model: z.looseObject({
    params: z.looseObject({
      parameterization: z.enum(['eps', 'x0', 'v']).optional(),
      timesteps: z.int().optional(),
      beta_schedule: z.string().optional(),
      linear_start: z.number().optional(),
      linear_end: z.number().optional(),
      cosine_s: z.number().optional(),
      scale_factor: z.number().optional(),
      image_size: z.int().positive().optional(),
      unet_config: module.optional(),
      network_config: module.optional(),
      first_stage_config: module.optional(),
      denoiser_config: module.optional(),
    }),
  }),
})

/** Whether a configuration is in the form of CompVis' and Stability's YAML files. */
export const isCompvisConfig = (config: ConfigJson): boolean => 'model' in config

/**
 * A configuration of CompVis or Stability in our words, over what the tensors tell: of the conditions they tell all, since
 * these files name but Python classes.
 *
 * @param known what the tensors tell, if they tell anything
 * @throws FileError where it lacks a part, or has a word with a value that is none.
 */
export function configFromCompvis(config: ConfigJson, known: ConfigJson | undefined, file: string): ConfigJson {
  const parsed = compvisSchema.safeParse(config)
  if (!parsed.success) throw new FileError(file, `its configuration cannot be used: ${z.prettifyError(parsed.error)}`)
  const { params } = parsed.data.model
  const network = params.unet_config ?? params.network_config
  const { image_size } = (known?.unet_config ?? {}) as ConfigJson
  return {
    ...known,
    ...(params.first_stage_config && { first_stage_config: stageOf(params.first_stage_config.params) }),
    ...(params.scale_factor !== undefined && { scale_factor: params.scale_factor }),
    // The size beside the network is the one that counts; that within is often said to be unused.
    ...(network && { unet_config: { image_size, ...network.params, ...sizeOf(params.image_size ?? image_size) } }),
    diffusion: { ...(known?.diffusion as ConfigJson | undefined), ...scheduleOf(params) },
  }
}

const sizeOf = (image_size: unknown) => (image_size === undefined ? {} : { image_size })

/** The words of the networks, without those of training them. */
const stageOf = ({ ddconfig, embed_dim, n_embed }: ConfigJson): ConfigJson => ({
  ddconfig,
  embed_dim,
  ...(n_embed !== undefined && { n_embed }),
})

type Params = z.output<typeof compvisSchema>['model']['params']

function scheduleOf(params: Params): ConfigJson {
  const { parameterization, timesteps, beta_schedule, linear_start, linear_end, cosine_s } = params
  // generative-models names a class for what is predicted; its schedule is Stable Diffusion's, discretizer.py.
  const scaling = (params.denoiser_config?.params.scaling_config as ConfigJson | undefined)?.target
  const predicted = scaling === undefined ? undefined : /VScaling/.test(String(scaling)) ? 'v' : 'epsilon'
  const given = { timesteps, beta_schedule, linear_start, linear_end, cosine_s }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    ...(predicted && { parameterization: predicted }),
    // What a file of theirs does not say is noise: ddpm.py, DDPM.
    ...(params.unet_config && {
      parameterization: parameterization === 'eps' ? 'epsilon' : (parameterization ?? 'epsilon'),
    }),
  }
}
