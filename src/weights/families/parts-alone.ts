import { FileError } from '../../platform/errors.js'
import { below } from '../rename.js'
import { storedTensors } from '../stored.js'
import type { StoredTensor, TensorFile, TensorInfo } from '../tensor-file.js'
import { describeTensors } from './describe.js'
import { type FirstStageWords, firstStageWords } from './first-stage-words.js'
import { namesOf } from './names.js'
import { originalNames } from './original-names.js'
import { towerWords, widthOfTower } from './tower-words.js'

type Opened = Pick<TensorFile<TensorInfo | StoredTensor>, 'name' | 'tensors' | 'read'>
type Tensors = ReadonlyMap<string, StoredTensor>

const stage = 'first_stage_model.'

/**
 * The first stage in a file of it alone, or of a whole model, by the original names.
 *
 * @throws FileError where there is none.
 */
export function firstStageIn(file: Opened): { readonly tensors: Tensors; readonly words: FirstStageWords } {
  const tensors = new Map([...originalNames(storedTensors(file))].filter(([name]) => name.startsWith(stage)))
  const words = firstStageWords(namesOf(tensors), stage)
  if (words) return { tensors, words }
  throw new FileError(
    file.name,
    `holds no first stage: ${describeTensors(file.tensors)}; wanted is an autoencoder of Stable Diffusion or latent diffusion, or TAESD`,
  )
}

/**
 * The text encoders in files of one each, or of whole models, where a model has them: one, or those of Stable Diffusion XL
 * in the order of their widths.
 *
 * @throws FileError where a file holds none.
 */
export function textEncodersIn(files: readonly Opened[], model: Tensors): Map<string, StoredTensor> {
  const found = files.flatMap(file => [...towersIn(file)]).sort((a, b) => a.width - b.width)
  const several = model.has('model.diffusion_model.label_emb.0.0.weight')
  if (!several && found.length > 1)
    throw new FileError(found[1]!.file, 'is a second text encoder, and the model takes one')
  return new Map(
    found.flatMap(({ tensors }, i) => {
      const place = several ? `conditioner.embedders.${i}.` : 'cond_stage_model.'
      return [...tensors].map(([name, tensor]) => [place + name, tensor] as const)
    }),
  )
}

/** The tensors of a model without those that other files have in their place. */
export const without = (tensors: Tensors, places: readonly string[]): Map<string, StoredTensor> =>
  new Map([...tensors].filter(([name]) => !places.some(place => name.startsWith(place))))

/** Where the text encoders of models lie. */
export const textPlaces = ['cond_stage_model.', 'conditioner.embedders.']

interface Tower {
  readonly file: string
  readonly width: number
  readonly tensors: Tensors
}

function* towersIn(file: Opened): Generator<Tower> {
  const all = originalNames(storedTensors(file))
  const inModels = ['cond_stage_model.', ...[0, 1].map(i => `conditioner.embedders.${i}.`)]
  const places = inModels.map(place => below(all, place)).filter(({ size }) => size > 0)
  const candidates = places.length > 0 ? places : [asEmbedder(all)]
  let any = false
  for (const tensors of candidates) {
    const words = towerWords(namesOf(tensors), '')
    if (words === undefined) continue
    any = true
    yield { file: file.name, width: widthOfTower(words), tensors }
  }
  if (!any)
    throw new FileError(
      file.name,
      `holds no text encoder: ${describeTensors(file.tensors)}; wanted is that of CLIP or OpenCLIP`,
    )
}

/** What transformers and OpenCLIP write, as Stable Diffusion's embedders have it; the half that sees pictures is left out. */
function asEmbedder(tensors: Tensors): Tensors {
  const isOpenClip = tensors.has('positional_embedding')
  const out = new Map<string, StoredTensor>()
  for (const [name, tensor] of tensors) {
    if (/^(visual|vision_model|visual_projection)\./.test(name)) continue
    const inner = name.replace(/^transformer\.(?=text_model\.)/, '')
    out.set(
      `${isOpenClip ? 'model' : 'transformer'}.${/^(embeddings|encoder|final_layer_norm)\./.test(inner) ? 'text_model.' : ''}${inner}`,
      tensor,
    )
  }
  return out
}
