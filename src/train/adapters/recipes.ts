import { z } from 'zod'
import { diffusionRecipe } from '../diffusion/recipe.js'

const count = z.int().positive()
const { data, condition_dropout, samples, training } = diffusionRecipe.shape

/** What all ways of fine-tuning a model have in common. */
const shared = {
  base: z
    .string()
    .min(1)
    .optional()
    .describe('checkpoint of the model, seen from the recipe; without one the model that comes with latentkit'),
  data,
  captions: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('sentences for every picture instead of their own, one of them drawn each time'),
  condition_dropout,
  loss: z
    .strictObject({
      type: z.enum(['l2', 'l1']).default('l2'),
      min_snr_gamma: z.number().positive().optional().describe('caps the weight of easy times; 5 in the paper'),
      offset_noise: z.number().min(0).default(0).describe('share of noise that is the same all over a channel'),
    })
    .prefault({}),
  samples,
  training,
}

const pattern = z.string().refine(isPattern, 'is no regular expression')

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) !== undefined
  } catch {
    return false
  }
}

/** How a LoRA is trained: `latentkit train lora RECIPE.yaml`. */
export const loraRecipe = z.strictObject({
  ...shared,
  lora: z
    .strictObject({
      rank: count.default(8),
      alpha: z.number().positive().optional().describe('the change is scaled by alpha / rank; the rank by default'),
      decompose: z.boolean().default(false).describe('DoRA: lengths of the weights are trained apart from directions'),
      target: pattern
        .default('(to_[qkv]|to_out(\\.0)?|[qkv]_proj|out_proj|qkv)$')
        .describe('a regular expression: which layers, by their names in the checkpoint; attention by default'),
      text_encoder: z.boolean().default(false).describe('the text encoder as well as the UNet'),
    })
    .prefault({}),
})
/** A checked recipe of a LoRA, defaults filled in. */
export type LoraRecipe = z.infer<typeof loraRecipe>

const word = z
  .string()
  .regex(/^\S+$/, 'must be one word')
  .regex(/^[^/\\]+$/, 'becomes a file name: no slashes')

/** How a word is learned by textual inversion: `latentkit train textual-inversion RECIPE.yaml`. */
export const textualInversionRecipe = z.strictObject({
  ...shared,
  captions: z
    .array(z.string().includes('{}', 'must say where the word goes, by {}'))
    .min(1)
    .default(['{}', 'a picture of {}', 'one {}', 'a small {}', 'a {} on a white background', 'a drawing of {}'])
    .describe('sentences with {} in the place of the word, one of them drawn each time'),
  word: word.describe('the new word, as in prompts: <my-cat>'),
  initial: z.string().min(1).describe('words whose meaning it starts with'),
  vectors: count.max(64).default(1).describe('tokens that the word becomes'),
})
/** A checked recipe of a word to be learned, defaults filled in. */
export type TextualInversionRecipe = z.infer<typeof textualInversionRecipe>

/** How a model learns one subject: `latentkit train dreambooth RECIPE.yaml`. */
export const dreamboothRecipe = z.strictObject({
  ...shared,
  captions: z
    .array(z.string())
    .min(1)
    .describe('what the pictures show, with a rare word for the subject: "a sks dog"'),
  text_encoder: z.boolean().default(false).describe('the text encoder as well as the UNet'),
  prior: z
    .strictObject({
      prompt: z.string().describe('what the subject is one of: "a dog"'),
      folder: z.string().min(1).describe('of pictures of that, seen from the recipe; the model paints those that lack'),
      count: count.default(100).describe('how many pictures there are to be'),
      weight: z.number().positive().default(1).describe('of their loss over that of the subject'),
      steps: count.default(20).describe('of painting'),
      guidance: z.number().min(0).default(3).describe('of painting'),
    })
    .optional()
    .describe('prior preservation: pictures of the class are trained along, so that it is not forgotten'),
})
/** A checked recipe of a subject to be learned, defaults filled in. */
export type DreamboothRecipe = z.infer<typeof dreamboothRecipe>

/** How a ControlNet is trained: `latentkit train controlnet RECIPE.yaml`. */
export const controlNetRecipe = z.strictObject({
  ...shared,
  hints: z
    .string()
    .min(1)
    .optional()
    .describe(
      "a folder of hints, called as the pictures are, seen from the recipe; without one NAME.hint.png beside each, or the pictures' edges",
    ),
})
/** A checked recipe of a ControlNet, defaults filled in. */
export type ControlNetRecipe = z.infer<typeof controlNetRecipe>

/** What of a recipe fine-tuning goes by. */
export type SharedRecipe = Pick<LoraRecipe, 'data' | 'captions' | 'condition_dropout' | 'loss' | 'samples' | 'training'>
