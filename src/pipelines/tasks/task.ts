import { z } from 'zod'
import { imageSchema } from '../../conditioning/index.js'
import type { Image } from '../../image/index.js'
import { validate } from '../../schema/index.js'
import { type GenerateEvent, type GenerateOptions, type Generation, generationOf } from '../generation/events.js'
import { generatedImage } from '../generation/generated-image.js'
import type { Model } from '../model.js'

type Settings<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>
/** Settings of a task with those of the generation that it is made of. */
export type TaskOptions<Shape extends z.ZodRawShape> = z.input<z.ZodObject<Shape>> & Omit<GenerateOptions, keyof Shape>

/** What a task is made of. */
export interface TaskParts<Shape extends z.ZodRawShape> {
  /** One line for people. */
  readonly summary: string
  readonly details?: string
  /** Its own settings; of those that a generation has too, it says here what it makes of them. */
  readonly shape: Shape
  readonly examples: readonly { readonly line: string; readonly what: string }[]
  /** Paints. Throws before anything runs where settings do not fit together. */
  start(
    model: Model,
    prompt: string,
    settings: Settings<Shape>,
    options: GenerateOptions,
  ): AsyncGenerator<GenerateEvent, void>
}

/** Something to do with a model that makes pictures: a function, and what commands and documents tell of it. */
export interface Task<Shape extends z.ZodRawShape = z.ZodRawShape> extends Omit<TaskParts<Shape>, 'start'> {
  (model: Model, prompt: string, options: TaskOptions<Shape>): Generation
}

/** A task of its parts; settings are checked as it is called. */
export function task<Shape extends z.ZodRawShape>({ start, ...about }: TaskParts<Shape>): Task<Shape> {
  const schema = z.strictObject(about.shape)
  const call = (model: Model, prompt: string, options: TaskOptions<Shape>): Generation => {
    const entries = Object.entries(options)
    const own = Object.fromEntries(entries.filter(([name]) => name in about.shape))
    const others = Object.fromEntries(entries.filter(([name]) => !(name in about.shape)))
    return generationOf(start(model, prompt, validate(schema, own, 'settings') as Settings<Shape>, others))
  }
  return Object.assign(call, about)
}

/** A picture that a task works on. */
export const pictureSetting = (describe: string) => imageSchema.meta({ placeholder: 'PICTURE' }).describe(describe)

/** Events with their pictures changed, previews too. */
export async function* withPictures(
  events: AsyncGenerator<GenerateEvent, void>,
  change: (picture: Image) => Image,
): AsyncGenerator<GenerateEvent, void> {
  for await (const event of events) {
    if (event.type === 'image') yield { ...event, image: generatedImage(change(event.image), event.settings) }
    else if (event.type === 'step' && event.previews) yield { ...event, previews: event.previews.map(change) }
    else yield event
  }
}
