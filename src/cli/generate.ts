import { z } from 'zod'
import { generateSettings } from '../pipelines/settings/index.js'
import type { Command } from '../schema/index.js'
import type { Io } from './io.js'
import { type PaintingFlags, paint, paintingFlags, type Written } from './painting.js'
import { settingFlags } from './setting-flags.js'

const { shape } = generateSettings

export const generateCommand = {
  name: 'generate',
  summary: 'Make pictures from a sentence, a class, a layout, another picture and more',
  details:
    'Writes PNG files that carry their settings, and shows them in terminals that can show pictures. Without --model ' +
    'the bundled one paints emoji of 128x128 pixels.',
  options: z.strictObject({ ...paintingFlags, ...settingFlags(shape) }),
  forgotten: 'image',
  examples: [
    { line: 'latentkit generate "red heart, noto emoji"', what: 'one picture by the bundled model' },
    {
      line: 'latentkit generate "a cat" --count 4 --seed 7 -o cat.png',
      what: 'cat-1.png to cat-4.png, the same every time',
    },
    {
      line: 'latentkit generate --model shoes.safetensors --class boots',
      what: 'of a model of classes; a wrong name lists them',
    },
    {
      line: 'latentkit generate --model fill.safetensors --image room.png --mask sofa.png',
      what: 'paint anew where the mask is white',
    },
    {
      line: 'latentkit generate "<my-cat>, blob emoji" --embedding my-cat.safetensors --lora style.safetensors:0.7',
      what: 'with a learned word and 0.7 of a LoRA',
    },
    {
      line: 'latentkit generate "a cat" --model sd15.safetensors --profile a1111 --sampler euler_ancestral --seed 7',
      what: 'from the same noise as AUTOMATIC1111, by its steps',
    },
    {
      line: 'latentkit generate "a lion" --model sd_xl_base_1.0.safetensors --refiner sd_xl_refiner_1.0.safetensors',
      what: 'the last fifth of the way by a refiner',
    },
    { line: 'latentkit generate --like cat-2.png --steps 50', what: 'a picture again, with more steps' },
  ],
} satisfies Command

/** `latentkit generate`. */
export const generate = (flags: PaintingFlags, io: Io): Promise<Written[]> =>
  paint(flags, io, { command: 'generate', shape, start: (model, prompt, options) => model.generate(prompt, options) })
