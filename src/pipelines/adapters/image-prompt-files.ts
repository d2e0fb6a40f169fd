import { type ImageProjectionConfig, imageProjectionConfigOf } from '../../conditioning/pictures/image-projection.js'
import { locate } from '../../hub/index.js'
import type { ClipVisionConfig } from '../../perceptual/clip-vision.js'
import { clipVisionConfigOf } from '../../perceptual/feature-networks.js'
import { FileError } from '../../platform/errors.js'
import type { SourceLike } from '../../platform/types.js'
import type { Parameter } from '../../tensor/program.js'
import { openWeights } from '../../weights/open-weights.js'
import { type Rename, underPrefix } from '../../weights/rename.js'
import { closingOnError, type TensorFile, type TensorInfo } from '../../weights/tensor-file.js'

/** A picture as a prompt: an IP-adapter, the CLIP that sees the picture for it, and how much the picture counts. */
export interface ImagePromptFiles {
  readonly file: SourceLike
  /** CLIP with its image half, by Hugging Face's or OpenCLIP's names: the adapter's README says which. */
  readonly encoder: SourceLike
  /** 1 if not given. */
  readonly weight?: number | undefined
}

/** The opened files of an IP-adapter. */
export interface ImagePrompt {
  /** What makes tokens of what is seen, by the original's names. */
  readonly projection: TensorFile<TensorInfo>
  /** Keys and values of the UNet's attention, numbered as in the file. */
  readonly attention: TensorFile<TensorInfo>
  readonly encoder: TensorFile<TensorInfo>
  readonly config: {
    readonly projection: ImageProjectionConfig
    readonly vision: ClipVisionConfig
    readonly weight: number
  }
  close(): Promise<void>
}

/**
 * Opens an IP-adapter as tencent-ailab and h94/IP-Adapter publish it, .bin or .safetensors; close it when done.
 *
 * @throws FileError where one of the files holds something else.
 */
export async function openImagePrompt({
  file: from,
  encoder: clip,
  weight = 1,
}: ImagePromptFiles): Promise<ImagePrompt> {
  const file = await openWeights(await locate(from))
  return closingOnError(file, async () => {
    const [projection, attention] = [underPrefix(file, 'image_proj.'), underPrefix(file, 'ip_adapter.')]
    const words = imageProjectionConfigOf(projection.tensors)
    if (words === undefined || attention.tensors.size === 0) {
      throw new FileError(
        file.name,
        'is no IP-adapter: wanted are tensors such as image_proj.proj.weight and ip_adapter.1.to_k_ip.weight',
      )
    }
    const encoder = await openWeights(await locate(clip))
    const close = async () => {
      await encoder.close()
      await file.close()
    }
    return closingOnError({ close: () => encoder.close() }, async () => {
      const vision = clipVisionConfigOf(encoder.tensors)
      if (vision === undefined || !Number.isInteger(vision.heads))
        throw new FileError(encoder.name, 'holds no image half of a CLIP by Hugging Face’s or OpenCLIP’s names')
      // OpenAI's own towers have quick_gelu; those of OpenCLIP, which are wider, have not. Source: open_clip, model_configs.
      const activation = vision.width > 1024 ? 'gelu' : 'quick_gelu'
      return {
        projection,
        attention,
        encoder,
        close,
        config: { projection: words, vision: { ...vision, activation }, weight },
      }
    })
  })
}

const parts = ['input_blocks', 'output_blocks', 'middle_block']

/**
 * The numbers that files give the cross-attentions of a UNet: diffusers lists all its attentions on the way down, up and
 * in the middle, each to itself before that to the context. Source: IP-Adapter, tutorial_train.py; diffusers,
 * UNet2DConditionModel.attn_processors.
 *
 * @param parameters those of `imageAttention`
 * @param prefix before the paths of the UNet's blocks
 */
export function numberedAttention(parameters: readonly Pick<Parameter, 'name'>[], prefix: string): Rename {
  const paths = parameters.flatMap(({ name }) =>
    name.endsWith('.to_k_ip.weight') ? name.slice(0, -'.to_k_ip.weight'.length) : [],
  )
  const place = (path: string) => {
    const [, part, rest] = /(input_blocks|output_blocks|middle_block)(.*)$/.exec(path)!
    return [parts.indexOf(part!), ...rest!.match(/\d+/g)!.map(Number)]
  }
  const order = paths.sort((a, b) => {
    const [p, q] = [place(a), place(b)]
    return p.reduce((sign, n, i) => sign || n - q[i]!, 0)
  })
  return (name, shape) => {
    const [, number, rest] = /^(\d+)\.(to_[kv]_ip\.weight)$/.exec(name) ?? []
    const path = number === undefined || Number(number) % 2 === 0 ? undefined : order[(Number(number) - 1) / 2]
    return path === undefined ? undefined : { name: `${path.slice(prefix.length)}.${rest}`, shape }
  }
}
