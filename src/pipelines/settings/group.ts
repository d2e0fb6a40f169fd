import type { z } from 'zod'
import type { LinesOf } from './lines.js'

/** Settings that belong together: their words, and which of them a picture's own settings tell. */
export interface SettingsGroup<Shape extends z.ZodRawShape = z.ZodRawShape> {
  readonly shape: Shape
  /** The first problem of settings that are sound one by one but not together. */
  check?(settings: z.output<z.ZodObject<Shape>>): { readonly at: keyof Shape; readonly message: string } | undefined
  /** What pictures say of these settings, beside A1111's own fields, and how it is read again. */
  readonly lines?: LinesOf<Shape>
}

/** A group of settings, with the types that its shape gives. */
export const settingsGroup = <Shape extends z.ZodRawShape>(group: SettingsGroup<Shape>): SettingsGroup<Shape> => group
