import type { z } from 'zod'

/** Lines of a picture's settings, by the labels that other tools give them; those that are undefined are left out. */
export type Lines = Readonly<Record<string, string | number | boolean | undefined>>

/** Settings that belong together: their words, and which of them a picture's own settings tell. */
export interface SettingsGroup<Shape extends z.ZodRawShape = z.ZodRawShape> {
  readonly shape: Shape
  /** The first problem of settings that are sound one by one but not together. */
  check?(settings: z.output<z.ZodObject<Shape>>): { readonly at: keyof Shape; readonly message: string } | undefined
  /** What a plan's pictures say of these settings, beside A1111's own fields. */
  show?(plan: z.output<z.ZodObject<Shape>> & Readonly<Record<string, unknown>>): Lines
  /** The settings that such lines tell. */
  read?(lines: Readonly<Record<string, string>>): Partial<z.input<z.ZodObject<Shape>>>
}

/** A group of settings, with the types that its shape gives. */
export const settingsGroup = <Shape extends z.ZodRawShape>(group: SettingsGroup<Shape>): SettingsGroup<Shape> => group

/** The number that a line says, where there is one. */
export const numberOf = (line: string | undefined): number | undefined =>
  line === undefined ? undefined : Number(line)
