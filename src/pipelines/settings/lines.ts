import type { z } from 'zod'

/** The settings line of a picture by its labels, which are those of other tools where these have them. */
export type Lines = Readonly<Record<string, string>>

/**
 * How a setting stands in the line: it is told where it is not what it is by default. Both directions go by this one
 * entry.
 */
export interface Line<Value = unknown, Given = Value> {
  readonly label: string
  /** Whether it stands so for a value, of entries of which the first one is told and all are read; else always. */
  when?(value: NonNullable<Value>, others: Readonly<Record<string, unknown>>): boolean
  /** The setting that it belongs to: told whenever that one is, and only then. */
  readonly beside?: string
  /** The value as text, where that is more than its letters; the others are those of the whole plan. */
  show?(value: NonNullable<Value>, others: Readonly<Record<string, unknown>>): string
  /** The value that a text says, among all others of the line; without this it is told and never read again. */
  read?(text: string, lines: Lines): Given | undefined
}

/** The entry of a setting, or several where it stands under another label by its value. */
type Entry<Value = unknown, Given = Value> = Line<Value, Given> | readonly Line<Value, Given>[]

/** The entries of settings that have one. */
export type LinesOf<Shape extends z.ZodRawShape> = {
  readonly [Name in keyof Shape]?: Entry<z.output<Shape[Name]>, z.input<Shape[Name]>>
}

/** Reads one of some words; any other is left out, for it may be another tool's. */
export const oneOf =
  <Word extends string>(words: readonly Word[]) =>
  (text: string): Word | undefined =>
    words.find(word => word === text)

/** Several values with spaces between. */
export const spaced = {
  show: (values: readonly unknown[]) => values.join(' '),
  read: (text: string) => text.split(' '),
}

/** What a plan's pictures say of some settings. */
export function toldLines(
  { shape, lines = {} }: { readonly shape: z.ZodRawShape; readonly lines?: LinesOf<z.ZodRawShape> | undefined },
  plan: Readonly<Record<string, unknown>>,
): Lines {
  const told = (name: string): boolean => {
    const beside = [lines[name] ?? []].flat()[0]?.beside
    const plain = (shape[name] as z.ZodType).safeParse(undefined).data
    return plan[name] !== undefined && (beside ? told(beside) : String(plan[name]) !== String(plain))
  }
  return Object.fromEntries(
    Object.entries(lines as Readonly<Record<string, Entry>>).flatMap(([name, entry]) => {
      const value = plan[name]!
      const line = told(name) && [entry].flat().find(({ when }) => when?.(value, plan) ?? true)
      return line ? [[line.label, (line.show ?? String)(value, plan)]] : []
    }),
  )
}

/** The settings that a picture's line says. */
export const readLines = (
  { lines = {} }: { readonly lines?: LinesOf<z.ZodRawShape> | undefined },
  found: Lines,
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(lines as Readonly<Record<string, Entry>>).flatMap(([name, entry]) =>
      [entry].flat().flatMap(({ label, read }) => {
        const text = found[label]
        const value = text === undefined ? undefined : read?.(text, found)
        return value === undefined ? [] : [[name, value]]
      }),
    ),
  )
